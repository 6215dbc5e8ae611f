#!/usr/bin/env python3
"""Small requests that would take much time or memory, or that never end, against `medvision serve`:
each gets its status, in time, and the server's memory stays where it was.

server_bombs_test.py PROGRAM
"""
import base64
import json
import socket
import struct
import sys
import time
import zlib

import server_test
from server_test import Server, chat

SECONDS = 60  # a sanitized server on a busy machine; a plain one needs less than two
MEGABYTES = 600


# ---- pictures ----

def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def zeros(n, head=b"", wbits=15):
    z = zlib.compressobj(9, zlib.DEFLATED, wbits)
    parts, block = [z.compress(head)], b"\0" * (1 << 20)
    parts += [z.compress(block[:min(1 << 20, n - i)]) for i in range(0, n, 1 << 20)]
    return b"".join(parts) + z.flush()


def png(width, height, extra=b""):
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + extra +
            png_chunk(b"IDAT", zeros((width + 1) * height)) + png_chunk(b"IEND", b""))


def jpeg(width, height):
    table = b"\xff\xc4\0\x14%c\1" + b"\0" * 16
    return (b"\xff\xd8\xff\xdb\0\x43\0" + b"\1" * 64 + b"\xff\xc0\0\x0b\x08" +
            struct.pack(">HH", height, width) + b"\1\1\x11\0" + table % b"\0" + table % b"\x10" +
            b"\xff\xda\0\x08\1\1\0\0\x3f\0" + b"\0" * 50 + b"\xff\xd9")


def nifti(*dim):
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, len(dim), *dim, *[1] * (7 - len(dim)))
    struct.pack_into("<2h", head, 70, 4, 16)
    struct.pack_into("<8f", head, 76, *[1] * 8)
    struct.pack_into("<3f", head, 108, 352, 1, 0)
    head[344:348] = b"n+1\0"
    return bytes(head)


def element(group, number, kind, value):
    long = kind in (b"OB", b"OW", b"SQ", b"UN")
    return (struct.pack("<HH", group, number) + kind +
            (struct.pack("<xxI", len(value)) if long else struct.pack("<H", len(value))) + value)


def dicom(data, syntax=b"1.2.840.10008.1.2.1\0"):
    meta = element(2, 1, b"OB", b"\0\1") + element(2, 0x10, b"UI", syntax)
    return (b"\0" * 128 + b"DICM" + element(2, 0, b"UL", struct.pack("<I", len(meta))) + meta +
            data)


def deflated(data, n):
    z = zlib.compressobj(9, zlib.DEFLATED, -15)
    return dicom(b"".join(z.compress(data) for _ in range(n)) + z.flush(),
                 b"1.2.840.10008.1.2.1.99")


def dicom_picture(rows, columns, *more):
    values = ((2, 1), (0x10, rows), (0x11, columns), (0x100, 16), (0x101, 16), (0x102, 15),
              (0x103, 0))
    tags = [element(0x28, n, b"US", struct.pack("<H", v)) for n, v in values]
    tags.insert(1, element(0x28, 4, b"CS", b"MONOCHROME2 ") + b"".join(more))
    return dicom(b"".join(tags) + element(0x7fe0, 0x10, b"OW", b"\0" * 8192))


LEVEL = (struct.pack("<HH", 0x40, 0xa730) + b"SQ\0\0\xff\xff\xff\xff" +
         struct.pack("<HHI", 0xfffe, 0xe000, 0xffffffff))


def pictures():
    yield "png of 20000 x 20000", "image", 400, png(20000, 20000)
    text = b"k\0\0" + zeros(1 << 27)
    yield "png with 128 MB of text", "image", 200, png(64, 64, png_chunk(b"zTXt", text))
    yield "png with 128 MB of profile", "image", 200, png(64, 64, png_chunk(b"iCCP", text))
    yield "jpeg of 65500 x 65500", "image", 400, jpeg(65500, 65500)
    yield "jpeg of 7000 x 7000 without data", "image", 400, jpeg(7000, 7000)
    yield "nifti of 32767 cubed", "volume", 400, nifti(32767, 32767, 32767) + b"\0" * 1000
    yield "nifti.gz of 16 GB", "volume", 400, zeros(1 << 20, nifti(2000, 2000, 2000), 31)
    yield "nifti.gz of one large slice", "volume", 400, zeros(1 << 20, nifti(20000, 20000), 31)
    yield "nifti.gz with 128 MB behind", "volume", 200, zeros(1 << 27, nifti(64, 64, 8), 31)
    yield "nifti of many frames", "volume", 400, nifti(16, 16, 16, 32767, 32767) + b"\0" * 9000
    yield "dicom of 65535 x 65535", "image", 400, dicom_picture(65535, 65535)
    frames = element(0x28, 8, b"IS", b"1000000000")
    yield "dicom of 10^9 frames", "image", 400, dicom_picture(64, 64, frames)
    yield "dicom of 40000 levels", "image", 400, dicom(LEVEL * 40000)
    yield "dicom of 2000000 levels", "image", 400, deflated(LEVEL * 1000, 2000)
    yield "dicom with 200 MB of elements", "image", 400, deflated(
        element(9, 0x1001, b"LO", b"ab") * 100000, 200)
    yield "dicom with 200 MB of zeros", "image", 400, deflated(b"\0" * (1 << 20), 200)


def memory(server, name):
    with open("/proc/%d/status" % server.process.pid, encoding="ascii") as f:
        return next(int(x.split()[1]) for x in f if x.startswith(name)) / 1024


def check_pictures(server, is_sanitized):
    for name, key, want, data in pictures():
        body = {key: "data:;base64," + base64.b64encode(data).decode()}
        start = time.time()
        status, got = server.post("/v1/preview", body)
        if status == 400 and "DCMTK" in got["error"]["message"]:
            continue
        seconds, peak = time.time() - start, memory(server, "VmHWM")
        print("%-34s %7d bytes  %d  %5.2f s  peak %4.0f MB" % (name, len(data), status, seconds,
                                                               peak))
        assert status == want, (name, status, got)
        assert seconds < SECONDS and (is_sanitized or peak < MEGABYTES), (name, seconds, peak)


# ---- requests ----

def raw(server, data, close=False, timeout=SECONDS):
    """The status of what comes back, None where the line is cut."""
    s = socket.create_connection(("127.0.0.1", server.port), timeout=timeout)
    try:
        s.sendall(data)
        if close:
            s.shutdown(socket.SHUT_WR)
        got = s.recv(4096)
    except ConnectionError:
        got = b""
    finally:
        s.close()
    return int(got.split()[1]) if got else None


def head(path="/tokenize", *lines, method="POST"):
    return "\r\n".join(["%s %s HTTP/1.1" % (method, path), "Host: localhost", *lines, "",
                        ""]).encode()


def endless(server, path, unit, pause=0.0):
    """Sends a chunked body without an end. The status, or None, and the seconds it took."""
    s = socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS)
    start, n = time.time(), 0
    try:
        s.sendall(head(path, "Transfer-Encoding: chunked"))
        while time.time() - start < SECONDS:
            s.sendall(b"%x\r\n%s\r\n" % (len(unit), unit))
            n += len(unit)
            time.sleep(pause)
    except OSError:
        pass
    try:
        got = s.recv(4096)
    except OSError:
        got = b""
    s.close()
    return int(got.split()[1]) if got else None, time.time() - start


def check_requests(server):
    deep = [("[" * n + "]" * n) for n in (600, 100000)]
    deep += ['{"a":' * 100000 + "1" + "}" * 100000, '[{"a":' * 50000]
    for text in deep:
        assert server.post("/tokenize", text)[0] == 400
    body = json.dumps(dict(chat("a"), extra=[[]] * 900000))
    assert server.post("/v1/chat/completions", body)[0] in (200, 400)
    assert server.post("/tokenize", '"' + "\\ud83e\\ude7b" * 300000 + '"')[0] == 400
    wants = [
        (head("/health", "X: " + "a" * (1 << 20), method="GET"), (431, None)),
        (head("/health", *["X%d: a" % i for i in range(20000)], method="GET"), (431, None)),
        (head("/" + "a" * (1 << 20), method="GET"), (414, 431, None)),
        (head("/health?" + "&".join("a=%d" % i for i in range(3000)), method="GET"),
         (200, 414, 431, None)),
        (head("/tokenize", "Content-Length: -1"), (400,)),
        (head("/tokenize", "Content-Length: 99999999999999999999999"), (400, 413)),
        (head("/tokenize", "Content-Length: 1 2"), (400,)),
        (head("/tokenize", "Content-Length: 70000000"), (413,)),
        (head("/tokenize", "Content-Length: 3", "Content-Length: 5") + b"abcde", (400, None)),
        (head("/tokenize", "Transfer-Encoding: chunked") + b"zz\r\n", (400, None)),
        (head("/tokenize", "Transfer-Encoding: gzip") + b"abc", (400, 501, None)),
        (head("/tokenize", "Content-Length: 4") + b"{}  GET /health HTTP/1.1\r\n\r\n", (400,)),
    ]
    for data, want in wants:
        status = raw(server, data)
        assert status in want, (data[:80], status)
    # Less than was told: the server waits for the rest, and cuts the line after --read-timeout.
    start = time.time()
    assert raw(server, head("/tokenize", "Content-Length: 100") + b"{}") in (None, 400, 408)
    assert time.time() - start < 30
    assert raw(server, head("/tokenize", "Content-Length: 100") + b"{}", close=True) in (None, 400)
    status, seconds = endless(server, "/tokenize", b"a" * 65536)
    assert status in (413, None) and seconds < SECONDS, (status, seconds)
    status, seconds = endless(server, "/tokenize", b"a", pause=0.2)
    assert status is None and seconds < 30, (status, seconds)
    assert server.ask("GET", "/health")[0] == 200


def main():
    server_test.PROGRAM = sys.argv[1]
    try:
        server = Server("--quiet", "--max-body", "16", "--read-timeout", "3")
    except AssertionError as e:
        if "no server" not in str(e):
            raise
        print("skip: this build has no server")
        return 77
    is_sanitized = memory(server, "VmSize") > 1e6  # the shadow of its memory
    try:
        check_pictures(server, is_sanitized)
        check_requests(server)
        left = memory(server, "VmRSS")
        print("memory at the end: %.0f MB" % left)
        assert is_sanitized or left < 200
    finally:
        code = server.stop()
    assert code == 0, (code, "".join(server.log[-40:]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
