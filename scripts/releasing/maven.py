"""A Maven repository in a folder: what is uploaded to a registry, and what a project can be built from as it is."""

import hashlib
import json
import xml.etree.ElementTree as xml
from dataclasses import dataclass

NAMESPACE = "http://maven.apache.org/POM/4.0.0"
GROUP = "dev.rowtide"

# Attributes by which Gradle tells the two kinds of consumers apart.
JVM = {"org.gradle.jvm.environment": "standard-jvm", "org.jetbrains.kotlin.platform.type": "jvm"}
ANDROID = {"org.gradle.jvm.environment": "android", "org.jetbrains.kotlin.platform.type": "androidJvm"}
LIBRARY = {"org.gradle.category": "library", "org.gradle.dependency.bundling": "external"}
API, RUNTIME = {"org.gradle.usage": "java-api"}, {"org.gradle.usage": "java-runtime"}


@dataclass(frozen=True)
class Dependency:
    """Another artifact that consumers get along. `kind` is `jar` or `aar`."""

    group: str
    artifact: str
    version: str
    scope: str = "compile"
    kind: str = "jar"


@dataclass(frozen=True)
class Project:
    """A module of the Kotlin build, with every version in full."""

    artifact: str
    version: str
    name: str
    description: str
    dependencies: tuple

    def file(self, suffix):
        """The path of a file of this artifact in a repository; `suffix` is such as `.jar` or `-sources.jar`."""
        folder = f"{GROUP.replace('.', '/')}/{self.artifact}/{self.version}"
        return f"{folder}/{self.artifact}-{self.version}{suffix}"


def read(pom, parent):
    """The project that a pom.xml describes, with the versions and properties of its parent."""
    pom, parent = (xml.fromstring(text) for text in (pom, parent))
    properties = {item.tag.split("}")[1]: item.text for item in parent.findall(f"{{{NAMESPACE}}}properties/*")}
    version = _text(parent, "version")
    properties["project.version"] = version
    managed = {
        (_text(item, "groupId"), _text(item, "artifactId")): _text(item, "version")
        for item in _all(parent, "dependencyManagement/dependencies/dependency")
    }
    dependencies = []
    for item in _all(pom, "dependencies/dependency"):
        scope = _text(item, "scope") or "compile"
        if scope in ("test", "provided") or _text(item, "optional") == "true":
            continue
        key = (_text(item, "groupId"), _text(item, "artifactId"))
        wanted = _text(item, "version") or managed[key]
        dependencies.append(
            Dependency(*(_filled(part, properties) for part in (*key, wanted)), scope, _text(item, "type") or "jar")
        )
    return Project(
        _text(pom, "artifactId"), version, _text(pom, "name"), _text(pom, "description"), tuple(dependencies)
    )


def _all(element, path):
    return element.findall("/".join(f"{{{NAMESPACE}}}{part}" for part in path.split("/")))


def _text(element, tag):
    return (element.findtext(f"{{{NAMESPACE}}}{tag}") or "").strip()


def _filled(text, properties):
    while "${" in text:
        name = text[text.index("${") + 2 : text.index("}", text.index("${"))]
        text = text.replace("${" + name + "}", properties[name])
    return text


def pom(project, packaging):
    """The POM that is published: no parent, every version in full."""
    root = xml.Element("project", {"xmlns": NAMESPACE})
    if packaging == "jar":
        # Gradle reads the module file instead when it sees this.
        root.append(xml.Comment(" do_not_remove: published-with-gradle-metadata "))
    fields = {
        "modelVersion": "4.0.0",
        "groupId": GROUP,
        "artifactId": project.artifact,
        "version": project.version,
        "packaging": packaging,
        "name": project.name,
        "description": project.description,
    }
    for tag, text in fields.items():
        xml.SubElement(root, tag).text = text
    licenses = xml.SubElement(root, "licenses")
    for name, url in (
        ("MIT", "https://opensource.org/license/mit"),
        ("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0"),
    ):
        item = xml.SubElement(licenses, "license")
        xml.SubElement(item, "name").text = name
        xml.SubElement(item, "url").text = url
    listed = xml.SubElement(root, "dependencies")
    for dependency in project.dependencies:
        item = xml.SubElement(listed, "dependency")
        for tag, text in (
            ("groupId", dependency.group),
            ("artifactId", dependency.artifact),
            ("version", dependency.version),
            ("type", dependency.kind),
            ("scope", dependency.scope),
        ):
            if (tag, text) != ("type", "jar"):
                xml.SubElement(item, tag).text = text
    xml.indent(root)
    return xml.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def module(project, android=None, jar=None, aar=None):
    """The Gradle module metadata.

    For a jar with an Android counterpart, `android` is that project: Gradle goes on there when an Android app asks. `jar`
    or `aar` are the bytes of the artifact itself.
    """
    suffix, data, environment = (".jar", jar, JVM) if jar is not None else (".aar", aar, ANDROID)
    variants = [
        _variant(project, usage, scope, environment, suffix, data)
        for usage, scope in (("Api", API), ("Runtime", RUNTIME))
    ]
    if android is not None:
        for usage, scope in (("Api", API), ("Runtime", RUNTIME)):
            at = {"group": GROUP, "module": android.artifact, "version": android.version}
            variants.append(
                {
                    "name": f"android{usage}Elements",
                    "attributes": {**LIBRARY, **ANDROID, **scope},
                    "available-at": {"url": f"../../{android.artifact}/{android.version}/{android.artifact}-{android.version}.module", **at},
                }
            )
    content = {
        "formatVersion": "1.1",
        "component": {
            "group": GROUP,
            "module": project.artifact,
            "version": project.version,
            "attributes": {"org.gradle.status": "release"},
        },
        "variants": variants,
    }
    return json.dumps(content, indent=2).encode() + b"\n"


def _variant(project, usage, scope, environment, suffix, data):
    dependencies = []
    for dependency in project.dependencies:
        if usage == "Api" and dependency.scope == "runtime":
            continue
        item = {"group": dependency.group, "module": dependency.artifact, "version": {"requires": dependency.version}}
        if dependency.kind != "jar":
            # The module has no metadata of its own that would tell Gradle about its other artifact.
            selector = {"name": dependency.artifact, "type": dependency.kind, "extension": dependency.kind}
            item["thirdPartyCompatibility"] = {"artifactSelector": selector}
        dependencies.append(item)
    name = f"{project.artifact}-{project.version}{suffix}"
    hashes = {kind: hashlib.new(kind, data).hexdigest() for kind in ("sha512", "sha256", "sha1", "md5")}
    return {
        "name": f"{'jvm' if suffix == '.jar' else 'release'}{usage}Elements",
        "attributes": {**LIBRARY, **environment, **scope},
        "dependencies": dependencies,
        "files": [{"name": name, "url": name, "size": len(data), **hashes}],
    }


def with_checksums(files):
    """The files of a repository with the checksums that Maven and Gradle look for beside each."""
    sums = {
        f"{name}.{kind}": hashlib.new(kind, data).hexdigest().encode()
        for name, data in files.items()
        for kind in ("sha1", "sha256")
    }
    return {**files, **sums}
