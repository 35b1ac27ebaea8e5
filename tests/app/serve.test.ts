// The loopback server: what a page of ours may do, and every way in which others are turned away.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync, readdirSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';

import { client } from '../../src-main/app/rpc.ts';
import { serveStudio, type RunningServer } from '../../src-main/app/server/serve-studio.ts';
import { uploadName } from '../../src-main/app/server/uploads.ts';
import { webSocketWire } from '../../src-main/app/wires/websocket.ts';
import { noTrainer, openHome, type Home } from './studio-home.ts';

let home: Home;
let server: RunningServer;
let renderer: string;
let origin: string;
let token: string;
const faults: unknown[] = [];

beforeAll(async () => {
  renderer = mkdtempSync(join(tmpdir(), 'adora-page-'));
  writeFileSync(join(renderer, 'index.html'), '<!doctype html><title>Adora</title>');
  mkdirSync(join(renderer, 'assets'));
  writeFileSync(join(renderer, 'assets', 'index-abcdefgh.js'), 'export {};');
  writeFileSync(join(renderer, 'notes.secret'), 'not a file of the page');
  home = openHome(noTrainer);
  server = await serveStudio({ studio: home.studio, renderer, port: 0, onFault: (fault) => faults.push(fault) });
  origin = `http://127.0.0.1:${server.port}`;
  token = server.url.slice(server.url.indexOf('#t=') + 3);
});
afterAll(async () => {
  await server.close();
  await home.close();
  rmSync(renderer, { recursive: true });
});

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** Without the niceties of fetch: paths and headers go out as they are. */
function ask(path: string, { method = 'GET', headers = {}, body }: { method?: string; headers?: Record<string, string>; body?: string | Buffer } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port: server.port, path, method, headers: { host: `127.0.0.1:${server.port}`, ...headers } }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** Status of a refused upgrade, or 101. */
function upgrade(headers: Record<string, string>, path = '/api'): Promise<number> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}${path}`, { headers });
    socket.on('open', () => {
      socket.close();
      resolve(101);
    });
    socket.on('unexpected-response', (_, response) => resolve(response.statusCode ?? 0));
    socket.on('error', () => {});
  });
}

const session = (given: string, headers: Record<string, string> = { origin }): Promise<Answer> =>
  ask('/session', { method: 'POST', headers, body: JSON.stringify({ token: given }) });

describe('before the session', () => {
  test('the page is public and carries a strict policy', async () => {
    const { status, headers } = await ask('/');
    expect(status).toBe(200);
    const policy = String(headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    expect((await ask('/assets/index-abcdefgh.js')).headers['cache-control']).toContain('immutable');
  });

  test.each(['localhost.evil.example', '127.0.0.1', 'evil.example', '127.0.0.1:1', '[::1]'])('the host %s is refused', async (host) => {
    expect((await ask('/', { headers: { host } })).status).toBe(403);
    expect(await upgrade({ host, origin: `http://${host}` })).toBe(403);
  });

  test.each([undefined, 'http://evil.example', 'null', 'https://127.0.0.1', 'http://127.0.0.1'])('the origin %s is refused', async (from) => {
    const headers: Record<string, string> = from === undefined ? {} : { origin: from };
    expect((await session(token, headers)).status).toBe(403);
    expect(await upgrade(headers)).toBe(403);
  });

  test.each(['', 'x', 'x'.repeat(43)])('the token %j is refused', async (given) => {
    expect((await session(given)).status).toBe(401);
  });

  test.each(['{', '[]', 'null', '{"token":7}', ''])('the body %j is refused', async (body) => {
    expect((await ask('/session', { method: 'POST', headers: { origin }, body })).status).toBe(401);
  });

  test('a large body is refused', async () => {
    expect((await ask('/session', { method: 'POST', headers: { origin }, body: 'x'.repeat(5000) })).status).toBe(413);
  });

  test('nothing but the page without the cookie', async () => {
    expect(await upgrade({ origin })).toBe(401);
    expect(await upgrade({ origin, cookie: `adora-${server.port}=wrong` })).toBe(401);
    expect((await ask('/img/abc')).status).toBe(401);
    expect((await ask('/upload/abc?name=a.png', { method: 'POST', headers: { origin }, body: 'x' })).status).toBe(401);
  });

  test.each(['/../package.json', '/%2e%2e/package.json', '/..%2fpackage.json', '/assets/..%5c..%5cpackage.json', '//etc/passwd', '/notes.secret', '/assets/', '/img/../../package.json', '/img/%00'])('the path %s leads nowhere', async (path) => {
    expect((await ask(path)).status).toBe(404);
  });

  test.each(['PUT', 'DELETE', 'OPTIONS', 'PATCH'])('%s is refused', async (method) => {
    expect((await ask('/', { method, headers: { origin } })).status).toBe(405);
  });

  test('what is not HTTP at all closes the connection', async () => {
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(server.port, '127.0.0.1', () => socket.write('\x16\x03\x01\x02\x00nonsense\r\n\r\n'));
      let text = '';
      socket.on('data', (data) => { text += data.toString(); });
      socket.on('close', () => resolve(text));
    });
    expect(answer).toMatch(/^HTTP\/1\.1 400/);
  });
});

describe('in a session', () => {
  let cookie: string;

  test('the token works once and becomes a cookie that scripts and other sites do not get', async () => {
    const { status, headers } = await session(token);
    expect(status).toBe(204);
    const [set] = headers['set-cookie'] as string[];
    expect(set).toMatch(/; HttpOnly; SameSite=Strict; Path=\/$/);
    cookie = set!.split(';')[0]!;
    expect((await session(token)).status).toBe(401);
  });

  test('the API answers over the WebSocket', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/api`, { headers: { origin, cookie } });
    await new Promise((resolve) => { socket.once('open', resolve); });
    const page = client(webSocketWire(socket));
    expect((await page.call('app.info')).mode).toBe('browser');
    socket.close();
    expect(await upgrade({ origin, cookie }, '/other')).toBe(403);
    expect(await upgrade({ origin: 'http://evil.example', cookie })).toBe(403);
  });

  test('a message that is too large ends the connection', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/api`, { headers: { origin, cookie } });
    await new Promise((resolve) => { socket.once('open', resolve); });
    const closed = new Promise((resolve) => { socket.once('close', resolve); });
    socket.send('x'.repeat(9 * 2 ** 20));
    expect(await closed).toBe(1009);
  });

  test('pictures are given by their ids; ids of files are none of pictures', async () => {
    const { ids } = home.studio.context;
    const url = ids.image('assets/demo/neon/000000.png');
    const { status, headers } = await ask(url, { headers: { cookie } });
    expect([status, headers['content-type']]).toEqual([200, 'image/png']);
    expect((await ask(`/img/${ids.of('assets/demo/neon/000000.png')}`, { headers: { cookie } })).status).toBe(404);
    // Even an id of another kind of file would not be served.
    expect((await ask(ids.image('package.json'), { headers: { cookie } })).status).toBe(404);
    expect((await ask(ids.image('assets/demo/gone.png'), { headers: { cookie } })).status).toBe(404);
  });

  test('uploads land in the project under a safe name and replace nothing', async () => {
    const project = await home.studio.handlers['projects.create']({ name: 'Uploads', demo: false });
    const upload = (name: string, body: string, more: Record<string, string> = {}): Promise<Answer> =>
      ask(`/upload/${project.id}?name=${encodeURIComponent(name)}`, { method: 'POST', headers: { origin, cookie, ...more }, body });
    expect(JSON.parse((await upload('../../evil.png', 'one')).body)).toEqual({ name: 'evil.png' });
    expect(JSON.parse((await upload('evil.png', 'two')).body)).toEqual({ name: 'evil-2.png' });
    const folder = join(project.folder.path, 'pictures');
    expect([readFileSync(join(folder, 'evil.png'), 'utf8'), readFileSync(join(folder, 'evil-2.png'), 'utf8')]).toEqual(['one', 'two']);
    for (const name of ['page.html', 'run.exe', '.png', 'a.svg', '', 'project.json']) expect((await upload(name, 'x')).status).toBe(400);
    expect((await upload('empty.png', '')).status).toBe(400);
    expect((await upload('a.png', 'x', { origin: 'http://evil.example' })).status).toBe(403);
    expect((await ask('/upload/unknown?name=a.png', { method: 'POST', headers: { origin, cookie }, body: 'x' })).status).toBe(400);
    const opened = await home.studio.handlers['projects.open']({ id: project.id });
    expect(opened.dataFolders.map(({ name }) => name)).toEqual(['pictures']);
    expect(existsSync(join(folder, 'empty.png'))).toBe(false);
  });

  test('an upload that claims or sends too much is refused', async () => {
    const project = await home.studio.handlers['projects.create']({ name: 'Large', demo: false });
    const { status } = await new Promise<{ status: number }>((resolve, reject) => {
      const request = httpRequest({
        host: '127.0.0.1', port: server.port, path: `/upload/${project.id}?name=a.png`, method: 'POST',
        headers: { host: `127.0.0.1:${server.port}`, origin, cookie, 'content-length': String(300 * 2 ** 20) },
      }, (response) => resolve({ status: response.statusCode ?? 0 }));
      request.on('error', reject);
      request.write('x');
    });
    expect(status).toBe(413);
  });

  test('an upload that the page breaks off leaves nothing and is no fault', async () => {
    const project = await home.studio.handlers['projects.create']({ name: 'Stopped', demo: false });
    const folder = await home.studio.uploadFolder(project.id);
    const request = httpRequest({
      host: '127.0.0.1', port: server.port, path: `/upload/${project.id}?name=a.png`, method: 'POST',
      headers: { host: `127.0.0.1:${server.port}`, origin, cookie, 'content-length': '1000' },
    });
    request.on('error', () => {});
    request.write('x');
    await expect.poll(() => readdirSync(folder).length).toBe(1);
    request.destroy();
    await expect.poll(() => readdirSync(folder)).toEqual([]);
  });
});

test('none of all this was a fault of the server', () => {
  expect(faults).toEqual([]);
});

test('names of uploads', () => {
  expect(uploadName('C:\\pictures\\a b.PNG')).toBe('a b.PNG');
  expect(uploadName('..\\..\\x.txt')).toBe('x.txt');
  expect(uploadName('...hidden.jpg')).toBe('hidden.jpg');
  expect(uploadName('a:b?c*.webp')).toBe('a_b_c_.webp');
  expect(() => uploadName('x.png.exe')).toThrow('cannot be taken');
});
