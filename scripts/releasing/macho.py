"""What a static library for Apple's platforms is made of, read from its Mach-O headers.

An archive (`.a`) holds object files of one architecture; `lipo` joins archives into a universal one.
"""

import struct
from dataclasses import dataclass

from . import Refused

ARCHITECTURES = {0x0100000C: "arm64", 0x01000007: "x86_64"}
# Of LC_BUILD_VERSION.
PLATFORMS = {1: "macos", 2: "ios", 7: "ios-simulator"}

LC_BUILD_VERSION = 0x32
UNIVERSAL, UNIVERSAL_64 = 0xCAFEBABE, 0xCAFEBABF


@dataclass(frozen=True)
class Object:
    """The headers of one object file. The oldest version of the platform that it is for is (major, minor)."""

    name: str
    architecture: str
    platform: str
    oldest: tuple


def objects(data):
    """The object files of a static library, universal or not."""
    try:
        found = [item for part in _architectures(data) for item in _members(part)]
    except (struct.error, ValueError) as error:
        raise Refused(f"the static library is cut off or damaged: {error!r}") from error
    if not found:
        raise Refused("the static library holds no object file")
    return found


def _architectures(data):
    magic, count = struct.unpack_from(">II", data)
    if magic not in (UNIVERSAL, UNIVERSAL_64):
        return [data]
    form = ">IIQQII" if magic == UNIVERSAL_64 else ">IIIII"
    heads = [struct.unpack_from(form, data, 8 + index * struct.calcsize(form)) for index in range(count)]
    return [data[head[2] : head[2] + head[3]] for head in heads]


def _members(data):
    if data[:8] != b"!<arch>\n":
        raise Refused("this is no static library")
    at, names = 8, b""
    while at < len(data):
        name, size = data[at : at + 16].decode().rstrip(), int(data[at + 48 : at + 58])
        if data[at + 58 : at + 60] != b"`\n" or at + 60 + size > len(data):
            raise ValueError(f"member {name!r} at {at}")
        content = data[at + 60 : at + 60 + size]
        at += 60 + size + size % 2
        if name == "//":
            names = content
        elif name.startswith("#1/"):
            length = int(name[3:])
            name, content = content[:length].rstrip(b"\0").decode(), content[length:]
        elif name[:1] == "/" and name[1:].isdigit():
            start = int(name[1:])
            name = names[start : names.index(b"\n", start)].decode()
        # The index of the archive, as the two families of `ar` name it.
        if name in ("/", "//", "/SYM64/") or name.startswith("__.SYMDEF"):
            continue
        yield _object(name.rstrip("/"), content)


def _object(name, data):
    magic, cpu, _, kind, commands = struct.unpack_from("<IIIII", data)
    if magic != 0xFEEDFACF or kind != 1:
        raise Refused(f"{name} is no Mach-O object file of 64 bits")
    at = 32
    for _ in range(commands):
        command, size = struct.unpack_from("<II", data, at)
        if command == LC_BUILD_VERSION:
            platform, oldest = struct.unpack_from("<II", data, at + 8)
            platform = PLATFORMS.get(platform, f"platform {platform}")
            return Object(name, ARCHITECTURES.get(cpu, hex(cpu)), platform, (oldest >> 16, oldest >> 8 & 0xFF))
        at += size
    raise Refused(f"{name} does not say which platform it is for")
