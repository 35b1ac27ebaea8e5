// The studio for a browser on the same machine: page, pictures, uploads, and the API over a WebSocket.

import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

import { WebSocketServer } from 'ws';

import { UserError } from '../../base/errors.ts';
import { problemOf, serve } from '../rpc.ts';
import type { Studio } from '../studio.ts';
import { webSocketWire } from '../wires/websocket.ts';
import { cookie, isOurHost, isOurOrigin, sameSecret, SECURITY_HEADERS } from './headers.ts';
import { imageId, imageType } from './image-types.ts';
import { staticFiles } from './static-files.ts';
import { receiveUpload } from './uploads.ts';

export interface ServeOptions {
  readonly studio: Studio;
  /** Folder of the built page. */
  readonly renderer: string;
  /** 0: any free one. */
  readonly port: number;
  readonly onFault: (error: unknown) => void;
}

export interface RunningServer {
  /** With the token in it; good for one browser. */
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

const MOST_MESSAGE_BYTES = 8 * 2 ** 20;
const MOST_SESSION_BYTES = 4096;

/** A refusal with its status. */
class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Listens on the loopback address only. Error: `serve.port` when the port is taken. */
export async function serveStudio({ studio, renderer, port: wantedPort, onFault }: ServeOptions): Promise<RunningServer> {
  const files = staticFiles(renderer);
  const session = randomBytes(32).toString('base64url');
  let token: string | null = randomBytes(32).toString('base64url');
  let port = wantedPort;
  const cookieName = (): string => `adora-${port}`;
  const isKnown = (request: IncomingMessage): boolean => sameSecret(cookie(request, cookieName()) ?? '', session);

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (!isOurHost(request, port)) throw new Refusal(403, 'Not this host.');
    const { method = '' } = request;
    const url = new URL(request.url ?? '/', `http://127.0.0.1:${port}`);
    if (method === 'GET' || method === 'HEAD') {
      const file = files.get(url.pathname);
      if (file) return sendFile(request, response, file.path, file.type, file.isFixed ? 'public, max-age=31536000, immutable' : 'no-cache');
      const image = imageId(url.pathname);
      if (image === null) throw new Refusal(404, 'There is nothing here.');
      if (!isKnown(request)) throw new Refusal(401, 'Open the address that adora serve printed.');
      const path = studio.context.ids.imagePath(image);
      const type = path === null ? null : imageType(path);
      if (path === null || type === null) throw new Refusal(404, 'This picture is not known any more.');
      return sendFile(request, response, path, type, 'private, max-age=3600');
    }
    if (method !== 'POST') throw new Refusal(405, 'Only GET and POST.');
    if (!isOurOrigin(request)) throw new Refusal(403, 'Not this origin.');
    if (url.pathname === '/session') {
      const given = tokenIn(await readBody(request, MOST_SESSION_BYTES));
      if (token === null || !sameSecret(given, token)) throw new Refusal(401, 'This address was used before: start adora serve again.');
      token = null;
      response.writeHead(204, { ...SECURITY_HEADERS, 'set-cookie': `${cookieName()}=${session}; HttpOnly; SameSite=Strict; Path=/` }).end();
      return;
    }
    const project = /^\/upload\/([A-Za-z0-9_-]{1,64})$/.exec(url.pathname)?.[1];
    if (project === undefined) throw new Refusal(404, 'There is nothing here.');
    if (!isKnown(request)) throw new Refusal(401, 'Open the address that adora serve printed.');
    const name = await receiveUpload(request, await studio.uploadFolder(project), url.searchParams.get('name') ?? '');
    sendJson(response, 200, { name });
  };

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      const isRefusal = error instanceof Refusal || error instanceof UserError;
      if (!isRefusal) onFault(error);
      if (response.headersSent) {
        response.destroy();
        return;
      }
      // What is left of a refused body is not read.
      response.setHeader('connection', 'close');
      if (error instanceof Refusal) sendJson(response, error.status, { code: `http.${error.status}`, message: error.message });
      else sendJson(response, error instanceof UserError ? (error.code === 'upload.too-large' ? 413 : 400) : 500, problemOf(error));
    });
  });
  server.headersTimeout = 10_000;
  server.requestTimeout = 10 * 60_000;
  server.keepAliveTimeout = 10_000;
  server.maxHeadersCount = 100;

  const sockets = new WebSocketServer({ noServer: true, maxPayload: MOST_MESSAGE_BYTES, perMessageDeflate: false });
  server.on('upgrade', (request, socket: Socket, head) => {
    const path = (request.url ?? '').split('?')[0];
    if (!isOurHost(request, port) || !isOurOrigin(request) || path !== '/api' || !isKnown(request)) {
      const status = isOurHost(request, port) && isOurOrigin(request) && path === '/api' ? '401 Unauthorized' : '403 Forbidden';
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('error', () => webSocket.terminate());
      serve(webSocketWire(webSocket), studio.handlers, studio.context.bus, onFault);
    });
  });

  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'EADDRINUSE' ? new UserError('serve.port', `Port ${wantedPort} is taken: choose another with --port, or leave it out.`, { port: wantedPort }) : error);
    });
    server.listen(wantedPort, '127.0.0.1', resolve);
  });
  port = (server.address() as AddressInfo).port;
  return {
    port,
    url: `http://127.0.0.1:${port}/#t=${token}`,
    close: async () => {
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => { server.close(resolve); });
    },
  };
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { ...SECURITY_HEADERS, 'content-type': 'application/json' }).end(JSON.stringify(value));
}

async function sendFile(request: IncomingMessage, response: ServerResponse, path: string, type: string, caching: string): Promise<void> {
  const facts = await stat(path).catch(() => null);
  if (!facts?.isFile()) throw new Refusal(404, 'It is not there any more.');
  response.writeHead(200, { ...SECURITY_HEADERS, 'content-type': type, 'content-length': facts.size, 'cache-control': caching });
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  const stream = createReadStream(path);
  stream.on('error', () => response.destroy());
  response.on('close', () => stream.destroy());
  stream.pipe(response);
}

async function readBody(request: IncomingMessage, most: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > most) throw new Refusal(413, 'Too much.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The text of the key `token`; empty when it is not what is expected. */
function tokenIn(body: string): string {
  try {
    const { token } = JSON.parse(body) as { token?: unknown };
    return typeof token === 'string' ? token : '';
  } catch {
    return '';
  }
}
