// Behind every npm script: installs what is missing, builds what is out of date, runs. Plain Node, no packages.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const built = join(root, 'out', 'main');
/**
 * How a process that trains is started.
 *
 * Arguments: every value that a session gives out counts as new memory to the garbage collector of JavaScript, so it collects
 * several times in a training step, by default with four threads that take the cores from the engine. With one it does so on
 * the main thread, in small steps.
 * Environment: glibc returns large blocks to the system at once and faults every page in again at the next allocation; tensors
 * are large blocks that come and go at every step. Keeping them is measurably faster, and so are pages of 2 MB instead of
 * 4 KB, which `hugetlb=1` asks for. Other allocators ignore the variables. Exports do not train: merging a large checkpoint makes
 * small blocks again and again, and with the settings of training its memory would double, so they keep 128 MB.
 */
const engine = JSON.parse(readFileSync(join(root, 'src-main', 'app', 'trainer', 'engine-process.json'), 'utf8'));
const engineArguments = [...engine.nodeArguments, ...engine.v8Flags];
const engineEnv = { ...engine.environment, ...process.env };
const bin = (...parts) => join(root, 'node_modules', ...parts);

const commands = {
  demo: async (args) => {
    await build();
    return run([...engineArguments, join(built, 'cli.js'), 'demo', ...args], { env: engineEnv });
  },
  adora: async (args) => {
    await build();
    // npm changes to the project folder; paths on the command line are meant from where the user stands.
    const env = { ...engine.environmentOf[args[0]] ?? engine.environment, ...process.env };
    return run([...engineArguments, join(built, 'cli.js'), ...args], { cwd: process.env['INIT_CWD'] ?? process.cwd(), env });
  },
  /** The desktop app; without Electron's program the same studio in the browser. */
  start: async (args) => {
    await build();
    const electron = electronProgram();
    if (electron !== null) return run([root, ...args], { program: electron, env: engineEnv });
    process.stderr.write('The program of Electron is not here (npx install-electron gets it; it needs Node 22.12 or newer), so the studio opens in the browser.\n');
    return run([...engineArguments, join(built, 'cli.js'), 'serve', ...args], { env: engineEnv });
  },
  /** Installers for this system into out/packages. Electron-builder is large and needed by few, so it is fetched by npx when it is used. */
  package: async (args) => {
    await build();
    return run(['--yes', 'electron-builder@26.17.0', '--config', 'packaging/electron-builder.json', ...args], { program: 'npx', shell: process.platform === 'win32' });
  },
  /** Runs tools/<name>.ts. */
  tool: async ([name = '', ...args]) => {
    await build();
    return run([...engineArguments, join(built, 'tools', `${name}.js`), ...args], { env: engineEnv });
  },
  build: async () => {
    await build();
    return 0;
  },
  check: async () => await check() || await vitest('tests/rules'),
  test: async (args) => await check() || await vitest(...args),
  /** The desktop app with Electron's own program, which few machines have: nothing is tested where it is missing. */
  'test:electron': async (args) => {
    const electron = electronProgram();
    if (electron === null) {
      process.stderr.write('Nothing was tested: the program of Electron is not here. `npx install-electron` gets it (Node 22.12 or newer); without a display, run this under xvfb-run.\n');
      return 1;
    }
    await build();
    return run([bin('vitest', 'vitest.mjs'), 'run', 'tests/electron', ...args], { env: { ...process.env, ADORA_ELECTRON: electron } });
  },
};

async function check() {
  return await run([bin('typescript', 'bin', 'tsc'), '--noEmit', '-p', '.'])
    || await run([bin('svelte-check', 'bin', 'svelte-check'), '--tsconfig', 'src-renderer/tsconfig.json', '--fail-on-warnings', '--output', 'human'])
    || await run([bin('oxlint', 'bin', 'oxlint'), '--deny-warnings'])
    || await run([bin('knip', 'bin', 'knip.js'), '--no-progress']);
}

function vitest(...args) {
  return run([bin('vitest', 'vitest.mjs'), 'run', ...args]);
}

/** Runs a program with this Node; resolves to its exit code. Ctrl-C reaches the program, which decides how to end. */
function run(args, { cwd = root, quiet = false, env = process.env, program = process.execPath, shell = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env, shell, stdio: quiet ? ['ignore', 'pipe', 'pipe'] : 'inherit' });
    const output = [];
    child.stdout?.on('data', (data) => output.push(data));
    child.stderr?.on('data', (data) => output.push(data));
    const ignore = () => {};
    const forward = (signal) => child.kill(signal);
    process.on('SIGINT', ignore).on('SIGTERM', forward).on('SIGHUP', forward);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      process.off('SIGINT', ignore).off('SIGTERM', forward).off('SIGHUP', forward);
      if (code !== 0) process.stderr.write(Buffer.concat(output));
      resolve(code ?? (signal === 'SIGINT' ? 130 : 1));
    });
  });
}

/** Path of Electron's program; null where it was not fetched. Asking the package itself would begin a download. */
function electronProgram() {
  const own = process.env.ELECTRON_OVERRIDE_DIST_PATH;
  const named = bin('electron', 'path.txt');
  if (!existsSync(named)) return null;
  const program = join(own ?? bin('electron', 'dist'), readFileSync(named, 'utf8').trim());
  return existsSync(program) ? program : null;
}

/** True when node_modules holds the versions of package-lock.json (optional packages of other systems aside). */
function isInstalled() {
  const installedFile = bin('.package-lock.json');
  if (!existsSync(installedFile)) return false;
  const installed = JSON.parse(readFileSync(installedFile, 'utf8')).packages;
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '' || entry.link === true) return true;
    const found = installed[path];
    return found === undefined ? entry.optional === true : found.version === entry.version && existsSync(join(root, path));
  });
}

async function install() {
  if (isInstalled()) return 0;
  process.stderr.write('Installing packages (once) ...\n');
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund'];
  // The package's own installer would fetch CUDA files from another host; the processor's files come with the package.
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' };
  const npm = process.env['npm_execpath'];
  const code = npm !== undefined && /\.[cm]?js$/.test(npm)
    ? await run([npm, ...args], { env })
    : await run(args, { env, program: 'npm', shell: process.platform === 'win32' });
  if (code !== 0) process.stderr.write('The packages could not be installed; npm says above why.\n');
  return code;
}

/** Names, sizes and times of everything that a build depends on, as one hash. */
function sourcesHash(names) {
  const hash = createHash('sha256').update(process.version);
  const add = (path) => {
    const facts = statSync(path);
    if (facts.isDirectory()) for (const name of readdirSync(path).sort()) add(join(path, name));
    else hash.update(`${relative(root, path)}\0${facts.size}\0${facts.mtimeMs}\0`);
  };
  for (const name of [...names, 'package.json', 'package-lock.json']) {
    if (existsSync(join(root, name))) add(join(root, name));
  }
  return hash.digest('hex');
}

/** One of the builds of electron.config.ts, into an absolute folder. */
function vite(mode, folder) {
  return run([bin('vite', 'bin', 'vite.js'), 'build', '-c', 'electron.config.ts', '--mode', mode, '--outDir', folder, '--logLevel', 'warn'], { quiet: true, env: { ...process.env, NODE_ENV: 'production' } });
}

/**
 * Builds out/main when a source changed. The result is built aside and moved in file by file, entries last:
 * a training that is running still finds the (content-named) chunks of its own build.
 */
async function build() {
  await buildPage();
  const stamp = join(built, '.sources');
  const sources = sourcesHash(['src-main', 'tools', 'electron.config.ts', 'src-renderer/vite.config.ts']);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === sources) return;
  const aside = join(root, 'out', `.build-${process.pid}`);
  try {
    const code = await vite('main', aside) || await vite('preload', aside);
    if (code !== 0) {
      process.stderr.write('The build failed.\n');
      process.exit(1);
    }
    const files = readdirSync(aside, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
      .map((entry) => relative(aside, join(entry.parentPath, entry.name)));
    const isChunk = (path) => path.startsWith('chunks');
    for (const path of [...files.filter(isChunk), ...files.filter((path) => !isChunk(path))]) {
      mkdirSync(dirname(join(built, path)), { recursive: true });
      renameSync(join(aside, path), join(built, path));
    }
    removeOld(join(built, 'chunks'), new Set(files.filter(isChunk).map((path) => path.slice('chunks'.length + 1))));
    writeFileSync(stamp, sources);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

/** Builds the page of the studio into out/renderer when a source changed: aside, then swapped in as a whole. */
async function buildPage() {
  const stamp = join(root, 'out', '.renderer-sources');
  const sources = sourcesHash(['src-renderer', 'shaders', 'src-main/contract', 'electron.config.ts']);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === sources) return;
  const aside = join(root, 'out', `.renderer-${process.pid}`);
  const page = join(root, 'out', 'renderer');
  try {
    const code = await vite('page', aside);
    if (code !== 0) {
      process.stderr.write('The page could not be built.\n');
      process.exit(1);
    }
    rmSync(page, { recursive: true, force: true });
    renameSync(aside, page);
    writeFileSync(stamp, sources);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

/** Removes chunks of builds from more than a day ago. */
function removeOld(folder, keep) {
  if (!existsSync(folder)) return;
  const dayAgo = Date.now() - 24 * 3600 * 1000;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (!keep.has(name) && statSync(path).mtimeMs < dayAgo) rmSync(path);
  }
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`Adora needs Node 20.19 or newer; this is ${process.versions.node}. Get one from nodejs.org.\n`);
  process.exit(1);
}
const [name = '', ...args] = process.argv.slice(2);
if (!Object.hasOwn(commands, name)) {
  process.stderr.write(`Unknown script '${name}'; known: ${Object.keys(commands).join(', ')}.\n`);
  process.exit(2);
}
process.exitCode = await install() || await commands[name](args);
