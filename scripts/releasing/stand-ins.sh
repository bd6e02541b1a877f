# Sourced by build-android and build-xcframework. Where the NDK or Xcode is missing, the core is compiled with stand-ins,
# to learn that it compiles. What comes out of it is for checks and never for a release.
# shellcheck shell=bash

# Clang with headers of musl and of Apple's open sources, from PyPI.
ziglang=0.17.1
stand_ins=$PWD/target/stand-ins

# Installs Zig below target/.
install_zig() {
    if [ -x "$stand_ins/ziglang-$ziglang/ziglang/zig" ]; then return; fi
    if ! python3 -m pip --version >/dev/null 2>&1; then
        if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
            apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-pip >/dev/null
        else
            echo "pip is missing; it brings the C compiler of this check (PyPI package ziglang)" >&2
            exit 2
        fi
    fi
    rm -rf "$stand_ins/ziglang-$ziglang.part"
    python3 -m pip install --quiet --root-user-action ignore --no-deps --only-binary :all: \
        --target "$stand_ins/ziglang-$ziglang.part" "ziglang==$ziglang"
    mv "$stand_ins/ziglang-$ziglang.part" "$stand_ins/ziglang-$ziglang"
}

# Writes a C compiler for a target: c_compiler NAME ZIG-TARGET OPTION…; prints its path. Zig names targets in its own way, so
# what the cc crate says about the target is left out.
c_compiler() {
    local compiler=$stand_ins/$1-cc
    cat >"$compiler" <<EOF2
#!/usr/bin/env bash
arguments=()
for argument in "\$@"; do
    case \$argument in
    --target=* | -mios-*version-min=* | -miphoneos-version-min=* | -mmacosx-version-min=* | -isysroot) ;;
    */iPhoneOS.sdk | */iPhoneSimulator.sdk | */MacOSX.sdk | arm64 | -arch) ;;
    *) arguments+=("\$argument") ;;
    esac
done
exec "$stand_ins/ziglang-$ziglang/ziglang/zig" cc -target ${*:2} "\${arguments[@]}"
EOF2
    chmod +x "$compiler"
    echo "$compiler"
}

# Nothing that is compiled for a check is run, so nothing is optimised.
quickly=(--config profile.dev.opt-level=0 --config 'profile.dev.package."*".opt-level=0')

# Lets Cargo compile for a target: sets `with_standard_library` to the options that it needs.
standard_library() {
    with_standard_library=(--target "$1")
    if [ -d "$(rustc --print target-libdir --target "$1")" ]; then return; fi
    local source
    source=$(rustc --print sysroot)/lib/rustlib/src/rust/library
    if [ ! -d "$source" ]; then
        source=$(debian_standard_library)
        # Cargo's own tests set this variable; the sysroot stays as it is.
        export __CARGO_TESTS_ONLY_SRC_ROOT=$source
    fi
    # The only way to compile the standard library with a stable compiler, and one more reason not to ship the outcome.
    export RUSTC_BOOTSTRAP=1
    with_standard_library+=(-Zbuild-std=std,panic_unwind)
}

# Unpacks the source of the standard library from Debian's package of rustc's very version; prints its folder.
debian_standard_library() {
    local version found work
    version=$(rustc --version | cut -d' ' -f2)
    found=$stand_ins/rust-src-$version/usr/src/rustc-$version/library
    if [ ! -d "$found" ]; then
        if ! command -v apt-get >/dev/null; then
            echo "the standard library for this target is missing: rustup target add" >&2
            exit 2
        fi
        work=$stand_ins/apt
        mkdir -p "$work/lists/partial"
        echo "deb $(apt-get indextargets --format '$(REPO_URI)' | head -n 1) trixie-backports main" >"$work/sources.list"
        local apt=(-qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists")
        apt-get "${apt[@]}" update
        local package
        package=$(apt-cache "${apt[@]:1}" madison rust-src | awk -v wanted="$version+" 'index($3, wanted) == 1 { print $3; exit }')
        if [ -z "$package" ]; then
            echo "skipped: Debian's backports have no rust-src $version any more; rustup component add rust-src" >&2
            exit 2
        fi
        (cd "$work" && apt-get "${apt[@]}" -o APT::Sandbox::User=root download "rust-src=$package")
        rm -rf "$stand_ins/rust-src-$version"
        dpkg-deb -x "$work"/rust-src_*.deb "$stand_ins/rust-src-$version"
        rm -rf "$work"
    fi
    echo "$found"
}
