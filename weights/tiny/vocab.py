"""Every name the tiny checkpoint knows: organs, lesions, markers, scans. One list, used everywhere."""

ORGANS = ["liver", "spleen", "right kidney", "left kidney", "stomach"]
LESIONS = ["tumor", "cyst"]
MARKERS = ["cross marker", "ring marker", "square marker", "triangle marker", "dot marker"]
CENTER = "center of the "
SCANS = {  # modality -> how a prompt may describe it
    "ct": "abdominal computed tomography (CT) scan",
    "t1": "T1-weighted abdominal magnetic resonance imaging (MRI) scan",
    "t2": "T2-weighted abdominal magnetic resonance imaging (MRI) scan",
}
DISTANCE_NAME = "marker separation"
ANGLE_NAME = "marker angle"
IMAGE_SIZE = (168, 168)
