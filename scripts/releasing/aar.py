"""The AAR: what Gradle adds to an Android app.

It is put together here, not by the Android Gradle plugin: its parts are few, and known.
"""

import struct

from . import Refused, archive, elf

MINIMUM_API = 24
RULES = "proguard.txt"


def manifest(package):
    """AndroidManifest.xml of a library that has none of its own. `package` is the Android package of its resources, of
    which it has none. Syncing needs the network."""
    return f"""<?xml version="1.0" encoding="utf-8"?>
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="{package}">
    <uses-sdk android:minSdkVersion="{MINIMUM_API}" />
    <uses-permission android:name="android.permission.INTERNET" />
</manifest>
""".encode()


# Read by the Android Gradle plugin before it takes an AAR in.
METADATA = b"""aarFormatVersion=1.0
aarMetadataVersion=1.0
minCompileSdk=24
minCompileSdkExtension=0
minAndroidGradlePluginVersion=1.0.0
coreLibraryDesugaringEnabled=false
"""


def write(manifest, jar, rules, libraries):
    """The bytes of an AAR.

    `manifest` is its AndroidManifest.xml; `jar` the bytes of a jar whose classes and resources go in, without the libraries
    for desktops; `rules` the R8 rules for apps; `libraries` maps an ABI to the name and bytes of the library for it, and
    each is checked.
    """
    files = {
        "AndroidManifest.xml": manifest,
        "R.txt": b"",
        RULES: rules,
        "META-INF/com/android/build/gradle/aar-metadata.properties": METADATA,
        "classes.jar": archive.write(classes(jar)),
    }
    for abi, (name, data) in libraries.items():
        elf.check(f"jni/{abi}/{name}", data, abi)
        files[f"jni/{abi}/{name}"] = data
    return archive.write(files)


def classes(jar):
    """The files of a jar that a phone can use."""
    files = archive.read(jar)
    kept = {name: data for name, data in files.items() if not name.endswith((".so", ".dylib", ".dll"))}
    for name, data in kept.items():
        if name.endswith(".class"):
            # Java 11, the newest that every version of the Android Gradle plugin that is in use takes.
            version = struct.unpack_from(">H", data, 6)[0]
            if version > 55:
                raise Refused(f"{name} is of class file version {version}; compile for Java 11 (55)")
    return kept
