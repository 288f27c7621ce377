import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { prepareTask } from '../../src/task/prepare.ts';
import { parseTask } from '../../src/task/schema.ts';
import type { PreparedTask } from '../../src/task/spec.ts';

let dir = '';

beforeAll(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'gostress-prepare-'));
  for (const name of ['one', 'two']) {
    const out = ['-keyout', `${name}.key`, '-out', `${name}.pem`];
    const args = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      '/CN=localhost',
    ];
    execFileSync('openssl', [...args, ...out], { cwd: dir, stdio: 'pipe' });
  }
  mkdirSync(path.join(dir, 'folder'));
  writeFileSync(path.join(dir, 'body.bin'), Buffer.from([0, 255, 10]));
  writeFileSync(path.join(dir, 'canary.txt'), 'canary');
  writeFileSync(path.join(dir, 'huge'), '');
});

afterAll(() => {
  rmSync(dir, { recursive: true });
});

function prepare(input: { body?: unknown; tls?: unknown }): Promise<PreparedTask> {
  return prepareTask(parseTask({ request: { url: 'https://h/', body: input.body }, tls: input.tls }), dir);
}

async function problemsOf(input: { body?: unknown; tls?: unknown }): Promise<unknown> {
  return prepare(input).then(
    () => [],
    (error: unknown) => (error as { problems?: unknown }).problems ?? error,
  );
}

describe('prepareTask', () => {
  it('needs nothing for a task without files', async () => {
    expect(await prepare({})).toMatchObject({ body: null, tls: { ca: null, cert: null, key: null } });
  });

  it('encodes a text as UTF-8', async () => {
    expect(Buffer.from((await prepare({ body: { text: 'é' } })).body!).toString('hex')).toBe('c3a9');
  });

  it('decodes base64 of as many bytes as a body may have', async () => {
    const bytes = Buffer.alloc(64 * 1024 * 1024, 'any \u0000 é');
    expect(Buffer.compare((await prepare({ body: { base64: bytes.toString('base64') } })).body!, bytes)).toBe(0);
  });

  it('decodes base64', async () => {
    expect(Buffer.from((await prepare({ body: { base64: 'AP8K' } })).body!).toString('hex')).toBe('00ff0a');
  });

  it('reads a body file byte by byte, from the base folder', async () => {
    expect(Buffer.from((await prepare({ body: { file: 'body.bin' } })).body!).toString('hex')).toBe('00ff0a');
  });

  it('reads a file by its absolute path', async () => {
    const { body } = await prepare({ body: { file: path.join(dir, 'body.bin') } });
    expect(body).toHaveLength(3);
  });

  it('keeps an empty body apart from none', async () => {
    expect((await prepare({ body: { text: '' } })).body).toHaveLength(0);
  });

  it('reads certificates and a key', async () => {
    const { tls } = await prepare({ tls: { ca: 'two.pem', cert: 'one.pem', key: 'one.key' } });
    const text = (name: string) => readFileSync(path.join(dir, name), 'utf8');
    expect(tls).toEqual({ ca: text('two.pem'), cert: text('one.pem'), key: text('one.key') });
  });

  it('tells all files that cannot be read at once', async () => {
    const tls = { ca: 'folder', cert: 'body.bin/x', key: 'none.key' };
    expect(await problemsOf({ body: { file: 'none.json' }, tls })).toEqual([
      'request.body.file: cannot read "none.json": no such file or folder',
      'tls.ca: cannot read "folder": it is a folder',
      'tls.cert: cannot read "body.bin/x": no such file or folder',
      'tls.key: cannot read "none.key": no such file or folder',
    ]);
  });

  it('reads a body of 64 MiB, and refuses one of a byte more', async () => {
    const limit = 64 * 1024 * 1024;
    truncateSync(path.join(dir, 'huge'), limit);
    expect((await prepare({ body: { file: 'huge' } })).body).toHaveLength(limit);
    truncateSync(path.join(dir, 'huge'), limit + 1);
    expect(await problemsOf({ body: { file: 'huge' } })).toEqual([
      `request.body.file: cannot read "huge": it has more than ${limit} bytes`,
    ]);
  });

  it('refuses a PEM file of more than 1 MiB', async () => {
    truncateSync(path.join(dir, 'huge'), 2 ** 20 + 1);
    expect(await problemsOf({ tls: { ca: 'huge' } })).toEqual([
      'tls.ca: cannot read "huge": it has more than 1048576 bytes',
    ]);
  });

  it('does not read a device without an end', async () => {
    expect(await problemsOf({ tls: { ca: '/dev/zero' } })).toEqual([
      'tls.ca: cannot read "/dev/zero": it has more than 1048576 bytes',
    ]);
  });

  it('refuses a file that is not PEM, without quoting it', async () => {
    const problems = await problemsOf({ tls: { ca: 'canary.txt', cert: 'canary.txt', key: 'canary.txt' } });
    expect(problems).toEqual([
      expect.stringMatching(/^tls\.ca: expected certificates \(PEM\), found "canary\.txt": /),
      expect.stringMatching(/^tls\.cert: expected a certificate \(PEM\), found "canary\.txt": /),
      expect.stringMatching(
        /^tls\.key: expected the certificate's private key without a passphrase \(PEM\), found "canary\.txt": /,
      ),
    ]);
    expect(String(problems).replaceAll('canary.txt', '')).not.toContain('canary');
  });

  it('refuses a key that belongs to another certificate', async () => {
    expect(await problemsOf({ tls: { cert: 'one.pem', key: 'two.key' } })).toEqual([
      expect.stringMatching(/^tls\.key: .*, found "two\.key": .*mismatch/),
    ]);
  });
});
