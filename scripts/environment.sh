# Sourced by the scripts beside it: makes .venv in the repository and installs the project into it.
# Says what it does while it does it; a second call that finds everything in place does nothing.

repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="$repository/.venv"
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '%s\n' "kcx: $*" >&2; }

fail() {
    printf '%s\n' "kcx: error: $*" >&2
    exit 1
}

find_python() {
    # Version managers leave shims that exist but do not run, so each candidate is asked.
    local candidate
    for candidate in "${PYTHON:-}" python3.12 python3.11 python3 python; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "needs Python 3.11 or 3.12 with venv and pip. Install one, or name it: PYTHON=/path/to/python $0"
}

# The extra that holds the right build of jax: CUDA wheels where an NVIDIA driver is found, the CPU otherwise.
jax_extra() {
    local cuda
    if cuda="$(nvidia-smi 2>/dev/null | sed -n 's/.*CUDA\( UMD\)\{0,1\} Version: \([0-9]*\).*/\2/p' | head -n 1)" && [ -n "$cuda" ]; then
        if [ "$cuda" -ge 13 ]; then echo cuda13; return; fi
        if [ "$cuda" -eq 12 ]; then echo cuda12; return; fi
        say "the NVIDIA driver supports CUDA $cuda, jax needs 12 or newer: using the CPU."
    else
        say "no NVIDIA driver found: using the CPU."
    fi
    echo model
}

# install STEP PIP-ARGUMENTS...: quiet when it works, and names the step with pip's last lines when it does not.
install() {
    local step="$1" log
    shift
    say "installing $step ..."
    log="$(mktemp)"
    if ! "$venv/bin/python" -m pip install --quiet "$@" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        fail "could not install $step. The lines above are pip's own; run the same command again once that is mended."
    fi
    rm -f "$log"
}

make_venv() {
    if [ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import pip' 2>/dev/null; then
        return
    fi
    local python
    python="$(find_python)" || exit 1
    say "making $venv with $("$python" --version)"
    "$python" -m venv "$venv" || fail "$python could not make a virtual environment (on Debian and Ubuntu: apt install python3-venv)"
}

# ensure EXTRAS: the package, editable, with these extras; skipped when this was done for the same project file.
ensure() {
    local extras="$1" stamp wanted
    make_venv
    stamp="$venv/.kcx-$extras"
    wanted="$(cksum <"$repository/pyproject.toml")"
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
        return
    fi
    install "kcx-jax[$extras] and what it needs (some minutes the first time)" -e "$repository[$extras]"
    printf '%s\n' "$wanted" >"$stamp"
}
