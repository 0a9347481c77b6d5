// Checks of what the image holds: who it runs as, and that nothing in it can be started but pglease.
import assert from 'node:assert/strict'
import { closeSync, existsSync, lstatSync, openSync, readdirSync, readlinkSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Check } from './image_check.ts'
import { runInImage } from './image_run.ts'

const APP = '/pglease'
/** The loader starts every dynamic program; the C library prints its version when it is started. */
const LOADER = /^\/(?:usr\/)?lib(?:64|\/[a-z0-9_]+-linux-gnu)?\/(?:ld-linux[\w.-]*\.so\.\d|libc\.so\.6)$/
const SHELLS = ['/bin/sh', '/bin/bash', '/bin/dash', '/busybox/sh', '/bin/busybox', '/usr/bin/env', '/usr/bin/perl', '/usr/bin/python3']

/** Every regular file of `root`, as its path in the image. */
function* filesOf(root: string, below = '/'): Generator<string> {
  for (const entry of readdirSync(join(root, below), { withFileTypes: true })) {
    const path = join(below, entry.name)
    if (entry.isDirectory()) yield* filesOf(root, path)
    else if (entry.isFile()) yield path
  }
}

/** The interpreter of a script in the image; undefined for other files. */
function interpreter(file: string): string | undefined {
  const bytes = Buffer.alloc(256)
  const descriptor = openSync(file, 'r')
  const length = readSync(descriptor, bytes)
  closeSync(descriptor)
  return /^#!\s*(\S+)/.exec(bytes.toString('latin1', 0, length))?.[1]
}

const configuration: Check = [
  'user 65532, no shell form, labels',
  async ({ config, commit }) => {
    assert.equal(config.User, '65532:65532')
    assert.deepEqual(config.Entrypoint, [APP])
    assert.equal(config.Cmd?.length ?? 0, 0)
    assert.deepEqual(Object.keys(config.ExposedPorts ?? {}).sort(), ['5432/tcp', '6432/tcp', '9090/tcp'])
    assert.equal(config.Labels?.['org.opencontainers.image.title'], 'pglease')
    assert.equal(config.Labels?.['org.opencontainers.image.revision'], commit)
    return `entrypoint ${APP}`
  },
]

const executables: Check = [
  'the app and the loader are the only executables, no setuid file',
  async ({ root }) => {
    const startable: string[] = []
    for (const path of filesOf(root)) {
      const { mode } = lstatSync(join(root, path))
      assert.equal(mode & 0o6000, 0, `${path} is setuid or setgid`)
      if ((mode & 0o111) === 0) continue
      const needed = interpreter(join(root, path))
      // a script without its interpreter can't be started
      if (needed === undefined || existsSync(join(root, needed))) startable.push(path)
    }
    assert.ok(startable.includes(APP), `${APP} is missing`)
    assert.ok(
      startable.some((path) => LOADER.test(path)),
      'the loader was not found: the search is wrong',
    )
    const others = startable.filter((path) => path !== APP && !LOADER.test(path))
    assert.deepEqual(others, [])
    const { mode, uid, size } = statSync(join(root, APP))
    assert.equal(mode & 0o777, 0o555)
    assert.equal(uid, 0)
    return `${startable.join(', ')}; the app has ${Math.round(size / 1e6)} MB`
  },
]

const noShell: Check = [
  'no shell starts',
  async ({ root }) => {
    const control = runInImage(root, [APP, 'version'])
    assert.equal((await control.exit).code, 0, control.tail())
    for (const shell of SHELLS) {
      assert.ok(!existsSync(join(root, shell)), `${shell} is in the image`)
      const child = runInImage(root, [shell, '-c', 'exit 0'])
      const { code } = await child.exit
      assert.notEqual(code, 0, `${shell} started`)
      assert.match(child.stderr, /No such file or directory/, shell)
    }
    return `${SHELLS.length} tried`
  },
]

const loaderLinks: Check = [
  'no link leaves the image for a program',
  async ({ root }) => {
    let seen = 0
    for (const folder of ['bin', 'sbin', 'usr/bin', 'usr/sbin', 'usr/local/bin']) {
      if (!existsSync(join(root, folder)) || lstatSync(join(root, folder)).isSymbolicLink()) continue
      for (const name of readdirSync(join(root, folder))) {
        const path = join(root, folder, name)
        assert.fail(`${folder}/${name} is there${lstatSync(path).isSymbolicLink() ? ` and points to ${readlinkSync(path)}` : ''}`)
      }
      seen++
    }
    assert.ok(seen > 0, 'no such folder was found: the search is wrong')
    return `${seen} folders of programs are empty`
  },
]

export const contentChecks: readonly Check[] = [configuration, executables, loaderLinks, noShell]
