/** `/page/NAME`: serves scripts and style sheets of the page and of uPlot. Removes types from TypeScript sources. */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire, stripTypeScriptTypes } from 'node:module';
import { extname } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Request, Response } from 'express';
import { acceptsGzip } from '../../export/exposition/negotiate.ts';
import type { SendAnswer } from '../server/answers.ts';
import { sendText } from '../server/respond.ts';

/** Directory of the page's modules: `src/page` or `dist/page`. */
const DIRECTORY = new URL('../../page/', import.meta.url);
const UPLOT = { 'uplot.js': 'uplot/dist/uPlot.iife.min.js', 'uplot.css': 'uplot/dist/uPlot.min.css' };
const TYPES = { js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8' };

const compress = promisify(gzip);

interface PageFile {
  type: string;
  plain: Buffer;
  compressed: Buffer;
}

export interface PageFiles {
  route(request: Request, response: Response): Promise<void>;
  /** Name of the first module to load. */
  entry: string;
}

export function createPageFiles(send: SendAnswer): PageFiles {
  let paths: Map<string, string | URL> | undefined;
  const loaded = new Map<string, Promise<PageFile>>();
  return {
    entry: `main${extname(import.meta.url)}`,
    route: async (request, response) => {
      const name = String(request.params.name);
      paths ??= filesByName();
      const path = paths.get(name);
      if (path === undefined) {
        sendText(response, 404, 'not found');
        return;
      }
      let file = loaded.get(name);
      if (file === undefined) {
        file = load(path);
        loaded.set(name, file);
        file.catch(() => loaded.delete(name));
      }
      const { type, plain, compressed } = await file;
      const wantsGzip = acceptsGzip(request.headers['accept-encoding']?.toString());
      response.setHeader('Vary', 'Accept-Encoding');
      if (wantsGzip) response.setHeader('Content-Encoding', 'gzip');
      send(response, 200, type, wantsGzip ? compressed : plain);
    },
  };
}

/** Returns the paths of all files that clients can request, by name. */
function filesByName(): Map<string, string | URL> {
  const files = new Map<string, string | URL>();
  for (const name of readdirSync(DIRECTORY)) {
    if (/^[\w-]+\.(ts|js|css)$/.test(name)) files.set(name, new URL(name, DIRECTORY));
  }
  const { resolve } = createRequire(import.meta.url);
  for (const [name, path] of Object.entries(UPLOT)) files.set(name, resolve(path));
  return files;
}

async function load(path: string | URL): Promise<PageFile> {
  const name = String(path);
  const text = readFileSync(path, 'utf8');
  const plain = Buffer.from(name.endsWith('.ts') ? strip(text) : text);
  return {
    type: name.endsWith('.css') ? TYPES.css : TYPES.js,
    plain,
    compressed: await compress(plain),
  };
}

function strip(text: string): string {
  // Suppress Node's warning that type stripping is experimental. Released packages do not need type stripping.
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return stripTypeScriptTypes(text);
  } finally {
    process.emitWarning = emitWarning;
  }
}
