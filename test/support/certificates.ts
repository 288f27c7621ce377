import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface KeyPair {
  cert: string;
  key: string;
}

/** PEM texts, made by openssl: a CA, and what it signed. */
export interface Certificates {
  ca: string;
  /** For localhost and 127.0.0.1. */
  server: KeyPair;
  /** For shop.example only. */
  named: KeyPair;
  client: KeyPair;
}

export function makeCertificates(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'gostress-certificates-'));
  try {
    const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=test CA', '-days', '2');
    const sign = (name: string, extension: string): KeyPair => {
      writeFileSync(join(folder, `${name}.ext`), extension);
      openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
      const ca = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2'];
      openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, ...ca, '-extfile', `${name}.ext`);
      return {
        cert: readFileSync(join(folder, `${name}.pem`), 'utf8'),
        key: readFileSync(join(folder, `${name}.key`), 'utf8'),
      };
    };
    return {
      server: sign('server', 'subjectAltName=DNS:localhost,IP:127.0.0.1'),
      named: sign('named', 'subjectAltName=DNS:shop.example'),
      client: sign('client', 'extendedKeyUsage=clientAuth'),
      ca: readFileSync(join(folder, 'ca.pem'), 'utf8'),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
