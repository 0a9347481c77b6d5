# Sourced by scripts/*: puts the Bun that package.json names, and the packages of bun.lock, in place. Needs npm only.
set -eu

repository=$(cd "$(dirname "$0")/.." && pwd)
cache=${PGLEASE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/pglease}
mkdir -p "$cache"

# locked NAME COMMAND...: runs the command while no other process holds the lock.
locked() {
  lock=$cache/$1.lock
  shift
  if command -v flock >/dev/null 2>&1; then
    (
      flock 9
      "$@"
    ) 9>"$lock.file"
    return
  fi
  while ! mkdir "$lock" 2>/dev/null; do
    owner=$(cat "$lock/owner" 2>/dev/null || true)
    if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then rm -rf "$lock"; else sleep 1; fi
  done
  echo "$$" >"$lock/owner"
  trap 'rm -rf "$lock"' EXIT
  "$@"
  rm -rf "$lock"
  trap - EXIT
}

bun_version=$(sed -n 's/.*"packageManager": *"bun@\([^"]*\)".*/\1/p' "$repository/package.json")
bun_home=$cache/bun-$bun_version

# npm may refuse to run install scripts, and bun's own `bin/bun` is empty without its script: the program is taken from
# the platform's package.
install_bun() {
  if [ -x "$bun_home/bin/bun" ]; then return 0; fi
  if ! command -v npm >/dev/null 2>&1; then
    echo "npm is missing: install Node.js 20 or later (it comes with npm), or Bun $bun_version" >&2
    return 1
  fi
  echo "Installing Bun $bun_version into $bun_home ..." >&2
  work=$cache/bun-$bun_version.new
  rm -rf "$work"
  mkdir -p "$work/bin"
  (cd "$work" && npm install --prefix "$work" --ignore-scripts --no-audit --no-fund --loglevel=error "bun@$bun_version") >&2 || return 1
  for candidate in "$work"/node_modules/@oven/bun-*/bin/bun; do
    if [ "$("$candidate" --version 2>/dev/null)" = "$bun_version" ]; then
      mv "$candidate" "$work/bin/bun"
      ln -s bun "$work/bin/bunx"
      break
    fi
  done
  if [ ! -x "$work/bin/bun" ]; then
    echo "no Bun $bun_version runs here: $(uname -sm)" >&2
    return 1
  fi
  rm -rf "$work/node_modules" "$work/package.json" "$work/package-lock.json" "$bun_home"
  mv "$work" "$bun_home"
}

install_packages() {
  wanted=$(cat "$repository/bun.lock" "$repository/package.json" | cksum)
  if [ "$(cat "$repository/node_modules/.installed" 2>/dev/null)" = "$wanted" ]; then return 0; fi
  (cd "$repository" && bun install --frozen-lockfile >&2)
  echo "$wanted" >"$repository/node_modules/.installed"
}

if [ "$(bun --version 2>/dev/null || true)" != "$bun_version" ]; then
  [ -x "$bun_home/bin/bun" ] || locked bun install_bun
  PATH=$bun_home/bin:$PATH
fi
# Before .bin, whose `deno` is a Node script that starts this one.
PATH=$PATH:$repository/node_modules/deno:$repository/node_modules/.bin
export PATH
locked "packages-$(printf %s "$repository" | cksum | tr -d ' ')" install_packages
