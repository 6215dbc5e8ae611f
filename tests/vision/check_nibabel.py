"""1,000 slices of volumes in every orientation, stored and RAS+, against nibabel: sizes, pixel sizes and
the SHA-256 of the 8-bit picture. Needs numpy and nibabel: check_nibabel.py MEDVISION [SEED]"""
import sys,os,json,random,subprocess,hashlib,math
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tasks"))
import nifti_data, numpy as np, nibabel as nib
rng=random.Random(int(sys.argv[2]) if len(sys.argv)>2 else 7)
import tempfile
d = tempfile.mkdtemp()
import gzip
vols=[]
for i in range(96):
    shape,zooms,code,data=nifti_data.volume(rng,i)
    name='v%03d.nii%s'%(i,'.gz' if i%3 else '')
    open(os.path.join(d,name),'wb').write(gzip.compress(data,mtime=0) if i%3 else data)
    vols.append(name)
# nibabel-written ones: oblique qform, NIfTI-2, 4D, big endian, no form
from nibabel.nifti2 import Nifti2Image
for i in range(24):
    shape=[rng.randint(8,30) for _ in range(3)]
    if i%4==3: shape.append(3)
    arr=(np.random.RandomState(i).rand(*shape)*500).astype(['<i2','<f4','>i2','<u1','<f8','>f4'][i%6])
    A=np.random.RandomState(100+i).randn(3,3); q,_=np.linalg.qr(A)
    aff=np.eye(4); aff[:3,:3]=q@np.diag([rng.uniform(.5,3) for _ in range(3)]); aff[:3,3]=[1,2,3]
    cls=Nifti2Image if i%2 else nib.Nifti1Image
    hdr=cls.header_class(endianness='>' if i%6 in(2,5) else '<')
    im=cls(arr,aff,hdr)
    if i%5==0: im.set_sform(None,0); im.set_qform(aff,1)
    if i%5==1: im.set_sform(None,0); im.set_qform(None,0)
    name='n%02d.nii%s'%(i,'.gz' if i%2 else ''); nib.save(im,os.path.join(d,name)); vols.append(name)
req=[];exp=[]
def img8(a):
    a=a.astype(np.float32); lo,hi=np.percentile(a,[0.5,99.5]) if False else (np.percentile(a,np.float32(0.5)),np.percentile(a,np.float32(99.5)))
    lo=np.float32(lo);hi=np.float32(hi)
    if hi-lo==0: return np.zeros(a.shape,np.uint8)
    return (((np.clip(a,lo,hi)-lo)/(hi-lo))*np.float32(255)).astype(np.uint8)
N=1000
for n in range(N):
    v=vols[n%len(vols)]; ras=n//len(vols)%2
    im=nib.load(os.path.join(d,v))
    if ras: im=nib.as_closest_canonical(im)
    z=im.header.get_zooms()[:3]; a=np.asanyarray(im.get_fdata(dtype=np.float64))
    fr=0
    if a.ndim==4: fr=n%3; a=a[...,fr]
    p=rng.randrange(3); idx=rng.randrange(a.shape[p])
    s=np.take(a,idx,axis=p)
    zz=[z[i] for i in range(3) if i!=p]
    req.append((ras,{"id":n,"volume":os.path.join(d,v),"plane":["sagittal","coronal","axial"][p],"index":idx,"frame":fr,"reshape":None}))
    exp.append((hashlib.sha256(img8(s).tobytes()).hexdigest(),[s.shape[1],s.shape[0]],[float(zz[1]),float(zz[0])]))
bad=0
for ras in (0,1):
    inp=''.join(json.dumps(q)+'\n' for r,q in req if r==ras)
    out=subprocess.run([sys.argv[1],'image','--jsonl','--orientation','ras' if ras else 'stored'],input=inp,capture_output=True,text=True)
    if out.stderr: print(out.stderr[:300])
    es=[(q,e) for (r,q),e in zip(req,exp) if r==ras]
    for (q,e),l in zip(es,out.stdout.splitlines()):
        o=json.loads(l)
        ok='error' not in o and o['image_sha256']==e[0] and o['image_size']==e[1] and all(abs(np.float32(a)-np.float32(b))<1e-6*b for a,b in zip(o['pixel_size'],e[2]))
        if not ok:
            bad+=1
            if bad<6: print(ras,q,o,e)
print(N,'slices bad',bad)
