"""DICOM files for the tests, with what they should give: make_dicom.py FOLDER [MEDVISION]

Needs pydicom and numpy. With the program, compares it with pydicom and numpy at once: sizes, spacing
and the 8-bit picture of X-ray, ultrasound, CT and MR files, signed, windowed, MONOCHROME1, RLE, and of
the slices of a series in all planes."""
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, generate_uid

OUT = sys.argv[1]
os.makedirs(OUT, exist_ok=True)
rng = np.random.RandomState(5)


def base(pixels, stored, signed=0, interpretation="MONOCHROME2", sop="1.2.840.10008.5.1.4.1.1.2",
         transfer=ExplicitVRLittleEndian, **more):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(rng.rand())])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian if transfer == RLELossless else transfer
    d = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    d.SOPClassUID, d.SOPInstanceUID = sop, meta.MediaStorageSOPInstanceUID
    d.SeriesInstanceUID = "1.2.3.4"
    d.StudyInstanceUID = "1.2.3"
    d.Rows, d.Columns = pixels.shape[:2]
    d.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    if d.SamplesPerPixel == 3:
        d.PlanarConfiguration = 0
    d.PhotometricInterpretation = interpretation
    d.BitsAllocated = 8 * pixels.dtype.itemsize
    d.BitsStored, d.HighBit, d.PixelRepresentation = stored, stored - 1, signed
    for key, value in more.items():
        setattr(d, key, value)
    d.PixelData = pixels.tobytes()
    if transfer == RLELossless:
        d.compress(RLELossless)
    return d


def save(d, name):
    d.save_as(os.path.join(OUT, name), enforce_file_format=True)
    return name


def windowed(x, c, w):
    y = np.where(x <= c - 0.5 - (w - 1) / 2, 0, np.where(x > c - 0.5 + (w - 1) / 2, 255,
                 ((x - (c - 0.5)) / (w - 1) + 0.5) * 255))
    return (y + 0.5).astype(np.uint8)


def percentile(a):
    a = a.astype(np.float32)
    lo, hi = np.percentile(a, np.float32(0.5)), np.percentile(a, np.float32(99.5))
    lo, hi = np.float32(lo), np.float32(hi)
    return (((np.clip(a, lo, hi) - lo) / (hi - lo)) * np.float32(255)).astype(np.uint8)


pictures = []
ct = (rng.rand(40, 50) * 3000 - 1000).astype("<i2")
pictures.append((save(base(ct, 16, 1, RescaleSlope="1", RescaleIntercept="-24", PixelSpacing=[0.7, 0.5],
                           WindowCenter="40", WindowWidth="400"), "ct_window.dcm"),
                 windowed(ct.astype(float) - 24, 40, 400), [0.5, 0.7]))
pictures.append((save(base((ct.astype(int) + 1000).clip(0, 4095).astype("<u2"), 12, 0, RescaleSlope="2.5",
                           RescaleIntercept="-100", PixelSpacing=[1.25, 1.25],
                           transfer=ImplicitVRLittleEndian), "mr_plain.dcm"),
                 percentile((ct.astype(int) + 1000).clip(0, 4095) * 2.5 - 100), [1.25, 1.25]))
signed12 = (rng.rand(30, 20) * 4000 - 2000).astype("<i2")
pictures.append((save(base(signed12 & 0x0fff, 12, 1, PixelSpacing=[1, 2]), "signed12.dcm"),
                 percentile(signed12), [2, 1]))
xr = (rng.rand(64, 48) * 1023).astype("<u2")
pictures.append((save(base(xr, 10, 0, "MONOCHROME1", ImagerPixelSpacing=[0.143, 0.143],
                           sop="1.2.840.10008.5.1.4.1.1.1.1"), "xray.dcm"), percentile(1023 - xr.astype(int)),
                 [0.143, 0.143]))
pictures.append((save(base(xr, 10, 0, PixelSpacing=[0.2, 0.3], transfer=RLELossless), "rle.dcm"),
                 percentile(xr), [0.3, 0.2]))
us = (rng.rand(24, 32, 3) * 255).astype("u1")
region = pydicom.Dataset()
region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
region.PhysicalDeltaX, region.PhysicalDeltaY = 0.03, 0.04
pictures.append((save(base(us, 8, 0, "RGB", sop="1.2.840.10008.5.1.4.1.1.6.1",
                           SequenceOfUltrasoundRegions=[region]), "us.dcm"), us, [0.3, 0.4]))
pictures.append((save(base(xr, 10, 0), "no_spacing.dcm"), percentile(xr), None))

os.makedirs(os.path.join(OUT, "series"), exist_ok=True)
cube = (rng.rand(12, 16, 20) * 2000).astype("<i2")  # k, row, column
for k in range(12):
    save(base(cube[k], 16, 1, RescaleSlope="1", RescaleIntercept="-1024", PixelSpacing=[0.8, 0.6],
              SliceThickness="5", ImagePositionPatient=[10, -20, 30 + 2.5 * k],
              ImageOrientationPatient=[1, 0, 0, 0, 1, 0], InstanceNumber=12 - k), "series/%02d.dcm" % ((k * 5) % 12))

if len(sys.argv) > 2:
    bad = 0

    def ask(line, *more):
        p = subprocess.run([sys.argv[2], "image", "--jsonl", *more], input=json.dumps(line),
                           capture_output=True, text=True)
        return json.loads(p.stdout)

    def check(name, got, picture, spacing):
        global bad
        want = hashlib.sha256(picture.tobytes()).hexdigest()
        near = spacing is None and got.get("pixel_size") is None or spacing is not None and np.allclose(
            got.get("pixel_size", [0, 0]), spacing, rtol=1e-6)
        if got.get("image_sha256") != want or not near:
            bad += 1
            print(name, got, spacing)

    for name, picture, spacing in pictures:
        check(name, ask({"image": os.path.join(OUT, name), "reshape": None}), picture, spacing)
    volume = np.transpose(cube.astype(np.float32) - 1024, (2, 1, 0))  # i, j, k
    ras = volume[::-1, ::-1, :]
    for data, orientation in ((volume, "stored"), (ras, "ras")):
        for axis, plane in enumerate(("sagittal", "coronal", "axial")):
            zooms = [z for i, z in enumerate((0.6, 0.8, 2.5)) if i != axis]
            got = ask({"volume": os.path.join(OUT, "series"), "plane": plane, "index": 3, "reshape": None},
                      "--orientation", orientation)
            check("series " + plane + orientation, got, percentile(np.take(data, 3, axis)), zooms[::-1])
    print("%d pictures and 6 slices, %d wrong" % (len(pictures), bad))
    sys.exit(bad > 0)
