import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerOptions } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reportSchema, type Report } from '../../src/report/schema.ts';
import { makeCertificates, type Certificates } from '../support/certificates.ts';
import { runCli } from '../support/cli.ts';
import { startTlsServer } from '../support/tls-server.ts';

const HITS = 3;
const LOAD = ['-n', String(HITS), '-c', '1', '-o', 'json'];

let certificates: Certificates;
let folder: string;
/** Paths of PEM files. */
let ca: string;
let cert: string;
let key: string;

beforeAll(() => {
  certificates = makeCertificates();
  folder = mkdtempSync(path.join(tmpdir(), 'gostress-https-'));
  ca = place('ca.pem', certificates.ca);
  cert = place('client.pem', certificates.client.cert);
  key = place('client-key.pem', certificates.client.key);
});
afterAll(() => rmSync(folder, { recursive: true }));

function place(name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
}

async function run(...args: string[]): Promise<{ code: number | null; report: Report }> {
  // From another folder: what a task file names is found beside it.
  const { code, stdout, stderr } = await runCli(['run', ...args, ...LOAD], { cwd: '/' });
  expect(stdout, stderr).not.toBe('');
  return { code, report: reportSchema.parse(JSON.parse(stdout)) };
}

/** Every hit was answered. */
function expectOk({ code, report }: Awaited<ReturnType<typeof run>>): void {
  expect(report.errors).toEqual({});
  expect(report.counts).toMatchObject({ ok: HITS, unwritten: 0, failed: 0 });
  // The generator of a busy machine may be late: then the numbers are not to be trusted, and the code is another.
  expect(report.verdict.verdict === 'INVALID' ? 0 : code).toBe(0);
}

/** No connection was made, because of TLS; all errors have this in their words. */
function expectRefused({ code, report }: Awaited<ReturnType<typeof run>>, words: RegExp): void {
  expect(Object.keys(report.errors)).toEqual(['tls']);
  expect(report.errors['tls']).toMatchObject({ count: HITS });
  for (const example of report.errors['tls']!.examples) expect(example).toMatch(words);
  expect(report.counts).toMatchObject({ ok: 0, unwritten: HITS, written: 0 });
  expect(report.verdict.verdict === 'INVALID' ? 1 : code).toBe(1);
}

/** Lets in only who has a certificate of the CA; says so in the handshake. */
function demandingServer(): ServerOptions {
  const { server } = certificates;
  return { ...server, ca: certificates.ca, requestCert: true, rejectUnauthorized: true, maxVersion: 'TLSv1.2' };
}

describe('the certificate of the target', () => {
  test('of an unknown CA is refused before anything is sent, and the exit code is 1', async () => {
    await using server = await startTlsServer(certificates.server);
    expectRefused(await run(`https://localhost:${server.port}/`), /certificate/);
    expect(server.seen).toEqual([]);
  });

  test('is good with -k, whatever it is', async () => {
    await using server = await startTlsServer(certificates.named);
    expectOk(await run(`https://localhost:${server.port}/`, '-k'));
    expect(server.seen).toHaveLength(HITS);
  });

  test('is good when --cacert has its CA and it is for the host', async () => {
    await using server = await startTlsServer(certificates.server);
    expectOk(await run(`https://localhost:${server.port}/`, '--cacert', ca));
    expectOk(await run(`https://127.0.0.1:${server.port}/`, '--cacert', ca));
    expect(server.seen.map(({ serverName }) => serverName)).toEqual([
      ...Array<string>(HITS).fill('localhost'),
      ...Array<boolean>(HITS).fill(false),
    ]);
  });

  test('is refused when it is for another host, and good when --sni names that one', async () => {
    await using server = await startTlsServer(certificates.named);
    const args = [`https://127.0.0.1:${server.port}/`, '--cacert', ca];
    expectRefused(await run(...args), /altnames/);
    expect(server.seen).toEqual([]);
    expectOk(await run(...args, '--sni', 'shop.example'));
    expect(server.seen).toEqual(Array(HITS).fill({ serverName: 'shop.example', client: undefined }));
  });
});

describe('the certificate of the client', () => {
  test('is presented with --cert and --key; a target that wants one refuses a run without', async () => {
    await using server = await startTlsServer(demandingServer());
    const args = [`https://localhost:${server.port}/`, '--cacert', ca];
    expectRefused(await run(...args), /handshake failure|certificate required/);
    expect(server.seen).toEqual([]);
    expectOk(await run(...args, '--cert', cert, '--key', key));
    expect(server.seen).toEqual(Array(HITS).fill({ serverName: 'localhost', client: 'client' }));
  });
});

describe('a task file', () => {
  test('has the same in its tls keys, with files found beside it', async () => {
    await using server = await startTlsServer({ ...demandingServer(), ...certificates.named });
    const url = `https://127.0.0.1:${server.port}/`;
    const tls = { ca: 'ca.pem', cert: 'client.pem', key: 'client-key.pem', serverName: 'shop.example' };
    const file = place('task.yaml', JSON.stringify({ request: { url }, tls }));
    expectOk(await run('-f', file));
    expect(server.seen).toEqual(Array(HITS).fill({ serverName: 'shop.example', client: 'client' }));
  });

  test('may switch verification off', async () => {
    await using server = await startTlsServer(certificates.named);
    const url = `https://127.0.0.1:${server.port}/`;
    expectOk(await run('-f', place('insecure.yaml', JSON.stringify({ request: { url }, tls: { verify: false } }))));
  });

  test('the TLS example is good over https, with its keys that are comments', async () => {
    await using server = await startTlsServer({ ...demandingServer(), ...certificates.named });
    const example = readFileSync(path.join(import.meta.dirname, '../examples/tls.yaml'), 'utf8');
    const used = example.replace(/^( +)# (?=ca:|cert:|key:)/gm, '$1');
    expect(used.split('\n').filter((line, i) => line !== example.split('\n')[i])).toHaveLength(3);
    const end = await run('-f', place('example.yaml', used), '--url', `https://127.0.0.1:${server.port}/`);
    expectOk(end);
    expect(end.report.traffic.connectionsOpened).toBe(HITS);
    expect(server.seen).toEqual(Array(HITS).fill({ serverName: 'shop.example', client: 'client' }));
  });
});
