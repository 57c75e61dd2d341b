"""Lays DynamoDB Local out the way LocalStack wants to find it.

jars.py FOLDER: FOLDER/DynamoDBLocal_lib holds what Maven fetched.
"""

import pathlib
import struct
import sys
import zipfile


def manifest(headers):
    """A jar manifest: lines of at most 72 bytes, continued with a space."""
    lines = ["Manifest-Version: 1.0", *(f"{k}: {v}" for k, v in headers.items())]
    text = ""
    for line in lines:
        text += line[:70] + "\r\n"
        for i in range(70, len(line), 69):
            text += " " + line[i : i + 69] + "\r\n"
    return text + "\r\n"


def jar(path, headers, files=()):
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("META-INF/MANIFEST.MF", manifest(headers))
        for name, content in files:
            z.writestr(name, content)


def agent(name):
    """A class with nothing but `public static void premain(String) {}` (The
    Java Virtual Machine Specification, 4.1), so that no compiler is needed."""

    def utf8(s):
        return struct.pack(">BH", 1, len(s)) + s.encode()

    def ref(index):
        return struct.pack(">BH", 7, index)

    pool = [utf8(name), ref(1), utf8("java/lang/Object"), ref(3), utf8("premain"), utf8("(Ljava/lang/String;)V"), utf8("Code")]
    code = struct.pack(">HHI", 0, 1, 1) + b"\xb1" + struct.pack(">HH", 0, 0)  # return
    method = struct.pack(">HHHH", 0x0009, 5, 6, 1) + struct.pack(">HI", 7, len(code)) + code
    head = struct.pack(">IHHH", 0xCAFEBABE, 0, 49, len(pool) + 1) + b"".join(pool)
    return head + struct.pack(">HHHHH", 0x0021, 2, 4, 0, 0) + struct.pack(">H", 1) + method + struct.pack(">H", 0)


def main():
    folder = pathlib.Path(sys.argv[1])
    jars = sorted(p.name for p in (folder / "DynamoDBLocal_lib").glob("*.jar"))
    if not jars:
        sys.exit(f"no jars in {folder}/DynamoDBLocal_lib")
    jar(
        folder / "DynamoDBLocal.jar",
        {
            "Main-Class": "software.amazon.dynamodb.services.local.main.ServerRunner",
            "Class-Path": " ".join("DynamoDBLocal_lib/" + name for name in jars),
        },
    )
    jar(folder / "ddb-local-loader-0.1.jar", {"Premain-Class": "NoAgent"}, [("NoAgent.class", agent("NoAgent"))])


main()
