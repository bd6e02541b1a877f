"""What is published names every version in full, and leads an Android app to the AAR."""

import json
import unittest
import xml.etree.ElementTree as xml

from releasing import maven

PARENT = f"""<project xmlns="{maven.NAMESPACE}">
  <groupId>dev.rowtide</groupId><artifactId>rowtide-parent</artifactId><version>1.2.3</version>
  <properties><jna.version>5.0</jna.version></properties>
  <dependencyManagement><dependencies>
    <dependency><groupId>net.java.dev.jna</groupId><artifactId>jna</artifactId><version>${{jna.version}}</version></dependency>
    <dependency><groupId>dev.rowtide</groupId><artifactId>rowtide</artifactId><version>${{project.version}}</version></dependency>
  </dependencies></dependencyManagement>
</project>"""

POM = f"""<project xmlns="{maven.NAMESPACE}">
  <artifactId>rowtide-x</artifactId><name>X</name><description>Y</description>
  <dependencies>
    <dependency><groupId>dev.rowtide</groupId><artifactId>rowtide</artifactId></dependency>
    <dependency><groupId>net.java.dev.jna</groupId><artifactId>jna</artifactId><scope>runtime</scope></dependency>
    <dependency><groupId>org.junit</groupId><artifactId>junit</artifactId><version>1</version><scope>test</scope></dependency>
    <dependency><groupId>a</groupId><artifactId>b</artifactId><version>1</version><scope>provided</scope></dependency>
  </dependencies>
</project>"""


class Publications(unittest.TestCase):
    def setUp(self):
        self.project = maven.read(POM, PARENT)

    def test_versions_come_from_the_parent_and_its_properties(self):
        found = [(item.artifact, item.version, item.scope) for item in self.project.dependencies]
        self.assertEqual(found, [("rowtide", "1.2.3", "compile"), ("jna", "5.0", "runtime")])

    def test_files_stand_where_maven_looks(self):
        self.assertEqual(
            self.project.file("-sources.jar"), "dev/rowtide/rowtide-x/1.2.3/rowtide-x-1.2.3-sources.jar"
        )

    def test_a_published_pom_has_no_parent_and_no_property(self):
        text = maven.pom(self.project, "jar").decode()
        self.assertNotIn("${", text)
        root = xml.fromstring(text)
        self.assertIsNone(root.find(f"{{{maven.NAMESPACE}}}parent"))
        self.assertIn("published-with-gradle-metadata", text)
        self.assertEqual(len(root.findall(f".//{{{maven.NAMESPACE}}}dependency")), 2)

    def test_the_pom_of_an_aar_asks_for_jna_as_an_aar(self):
        phone = maven.Project("x-aar", "1", "", "", (maven.Dependency("net.java.dev.jna", "jna", "5", kind="aar"),))
        self.assertIn("<type>aar</type>", maven.pom(phone, "aar").decode())
        metadata = json.loads(maven.module(phone, aar=b"data"))
        selector = metadata["variants"][1]["dependencies"][0]["thirdPartyCompatibility"]["artifactSelector"]
        self.assertEqual(selector, {"name": "jna", "type": "aar", "extension": "aar"})

    def test_gradle_is_led_from_the_jar_to_the_aar(self):
        phone = maven.Project("rowtide-x-aar", "1.2.3", "", "", ())
        metadata = json.loads(maven.module(self.project, android=phone, jar=b"data"))
        by_environment = {}
        for variant in metadata["variants"]:
            by_environment.setdefault(variant["attributes"]["org.gradle.jvm.environment"], []).append(variant)
        self.assertEqual(len(by_environment["standard-jvm"]), 2)
        for variant in by_environment["android"]:
            self.assertEqual(variant["available-at"]["url"], "../../rowtide-x-aar/1.2.3/rowtide-x-aar-1.2.3.module")
        file = by_environment["standard-jvm"][0]["files"][0]
        self.assertEqual((file["url"], file["size"]), ("rowtide-x-1.2.3.jar", 4))

    def test_what_is_needed_to_run_is_not_needed_to_compile(self):
        variants = {item["name"]: item for item in json.loads(maven.module(self.project, jar=b""))["variants"]}
        self.assertEqual([item["module"] for item in variants["jvmApiElements"]["dependencies"]], ["rowtide"])
        self.assertEqual([item["module"] for item in variants["jvmRuntimeElements"]["dependencies"]], ["rowtide", "jna"])

    def test_every_file_has_its_checksums(self):
        files = maven.with_checksums({"a.jar": b"abc"})
        self.assertEqual(files["a.jar.sha1"], b"a9993e364706816aba3e25717850c26c9cd0d89d")
        self.assertEqual(sorted(files), ["a.jar", "a.jar.sha1", "a.jar.sha256"])


if __name__ == "__main__":
    unittest.main()
