pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}

dependencyResolutionManagement {
    repositories {
        // Where `scripts/package` puts dev.rowtide:rowtide and dev.rowtide:rowtide-android.
        maven { url = uri(providers.gradleProperty("rowtide.repository").getOrElse("../../target/package/maven")) }
        google()
        mavenCentral()
    }
}

rootProject.name = "notes-android"
include(":app")
