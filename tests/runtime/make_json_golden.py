"""Makes tests/data/json/{texts,floats}.jsonl with Python's own json module and repr.

    python3 tests/runtime/make_json_golden.py tests/data/json        (Python 3.11, seed 7)
"""
import json
import random
import struct
import sys

random.seed(7)
out = sys.argv[1]


def random_string():
    pools = ["abc \"\\/", "\b\f\n\r\t\x00\x1f\x7f", "éüß·µ", "日本語", "😀𝟘𝟙", "\ud800\udc00\udfff"]
    return "".join(random.choice(random.choice(pools)) for _ in range(random.randrange(12)))


def random_float():
    kind = random.randrange(4)
    if kind == 0:
        return struct.unpack("<d", struct.pack("<Q", random.getrandbits(64)))[0]
    if kind == 1:
        return round(random.uniform(-1000, 1000), random.randrange(6))
    if kind == 2:
        return random.choice([0.0, -0.0, 1e16, 1e-5, 123456789012345680.0, float("inf"), float("nan")])
    return random.uniform(-1, 1) * 10 ** random.randrange(-12, 25)


def random_value(depth):
    kind = random.randrange(9 if depth < 4 else 6)
    if kind == 0:
        return random.choice([None, True, False])
    if kind <= 2:
        return random.choice([random.randrange(-1000, 1000), random.getrandbits(90), -2**63, 2**63 - 1])
    if kind == 3:
        return random_float()
    if kind <= 5:
        return random_string()
    if kind == 6:
        return [random_value(depth + 1) for _ in range(random.randrange(5))]
    return {random_string(): random_value(depth + 1) for _ in range(random.randrange(5))}


def forms(text):
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {"text": text, "error": True}
    utf8 = json.dumps(value, ensure_ascii=False)
    if any("\ud800" <= c <= "\udfff" for c in utf8):
        utf8 = None      # Python cannot encode it
    return {"text": text, "default": json.dumps(value), "compact": json.dumps(value, separators=(",", ":")),
            "indent2": json.dumps(value, indent=2), "utf8": utf8}


TEXTS = r'''
{"a":1,"b":2,"a":3}
{"a":1,"a":{"x":[1]},"b":2,"a":[],"":0,"":1}
[NaN,Infinity,-Infinity]
"\ud83d\ude00 \ud83d \ude00 \ud83d\u0041 \ud83d\ud83d\ude00 \u0000"
[1e999,-1e999,1e-999,-0,-0.0,0e5,1E+2,1.5e-07]
12345678901234567890123456789
{"nested":[[[[[[]]]]],{"a":{}}]}
  [ 1 , 2 ]  
""
[1,]
[1 2]
{"a" 1}
{"a":1,}
{a:1}
01
1.
.5
-
+1
1e
"\x41"
"\u12g4"
"\u123"
"unterminated
'single'
nul
nan
-NaN
[
{
]
[1]]
{"a":1} x
"tab	inside"
'''.strip("\n").split("\n") + ["", " ", "\x00", "[1\x00]", "\ufeff[]", "[" * 300 + "]" * 300]

with open(f"{out}/texts.jsonl", "w") as f:
    for text in TEXTS + [json.dumps(random_value(0), ensure_ascii=random.random() < 0.5, indent=random.choice([None, 1]))
                         for _ in range(150)]:
        if all(not "\ud800" <= c <= "\udfff" for c in text):
            f.write(json.dumps(forms(text)) + "\n")


def neighbours(x):
    bits = struct.unpack("<Q", struct.pack("<d", x))[0]
    return [struct.unpack("<d", struct.pack("<Q", b))[0] for b in (bits - 1, bits, bits + 1) if 0 <= b < 2**64]


doubles = [0.0, -0.0, 5e-324, 1.7976931348623157e308, 0.1, 0.3, 2 / 3, 1e22, 1e23, 9007199254740993.0, 24.13, float("inf"), -float("inf")]
for e in range(-1074, 1024, 7):
    doubles += neighbours(2.0 ** e)
for e in (-44, -1022, 52, 53, 54):
    doubles += neighbours(2.0 ** e)
for e in range(-8, 19):
    doubles += neighbours(10.0 ** e)
doubles += [random_float() for _ in range(400)]

with open(f"{out}/floats.jsonl", "w") as f:
    for x in doubles:
        f.write(json.dumps({"bits": struct.pack(">d", x).hex(), "repr": repr(x), "fixed3": f"{x:.3f}" if abs(x) < 1e20 else None}) + "\n")
