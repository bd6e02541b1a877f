plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
    id("org.jetbrains.kotlin.plugin.compose")
}

android {
    namespace = "dev.rowtide.examples.notes.android"
    compileSdk = 36
    defaultConfig {
        applicationId = "dev.rowtide.examples.notes"
        minSdk = 24
        targetSdk = 36
        versionCode = 1
        versionName = "1.0"
        // An emulator reaches its computer there.
        buildConfigField("String", "SERVER", "\"http://10.0.2.2:8080\"")
    }
    buildFeatures {
        compose = true
        buildConfig = true
    }
    buildTypes {
        release {
            // Rowtide brings the rules that it needs.
            isMinifyEnabled = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"))
        }
    }
    sourceSets["main"].apply {
        // What the desktop app has too.
        kotlin.srcDir("../../notes/kotlin")
        assets.srcDir("../../notes")
    }
    androidResources {
        // Of that folder, the schema alone.
        ignoreAssetsPattern = "!kotlin:!serve:!README.md"
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }
}

kotlin { compilerOptions { jvmTarget = org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_11 } }

dependencies {
    implementation("dev.rowtide:rowtide:0.1.0")
    implementation("dev.rowtide:rowtide-android:0.1.0")
    implementation("androidx.activity:activity-compose:1.11.0")
    implementation("androidx.lifecycle:lifecycle-viewmodel-compose:2.9.4")
    implementation(platform("androidx.compose:compose-bom:2025.10.00"))
    implementation("androidx.compose.material3:material3")
}
