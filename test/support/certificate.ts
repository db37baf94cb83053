import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The reason why no certificates can be made; false if they can. */
export const noOpenssl: string | false =
  spawnSync('openssl', ['version']).status === 0 ? false : 'SKIPPED: no openssl on the PATH, to make certificates with';

/** PEM files. */
export interface CertificateFiles {
  readonly ca: string;
  readonly caKey: string;
  readonly certificate: string;
  readonly key: string;
}

const REQUEST = ['req', '-x509', '-nodes', '-days', '400'];

/**
 * Writes the certificate of an authority, and one that it signed for `names` (IP:… or DNS:…), into the folder. The keys
 * are RSA's, in PKCS #1: some programs read no others.
 */
export function makeCertificate(folder: string, names: readonly string[], authority = 'authority'): CertificateFiles {
  const at = (name: string) => join(folder, name);
  const files = { ca: at('ca.crt'), caKey: at('ca.key'), certificate: at('tls.crt'), key: at('tls.key') };
  const make = (key: string, certificate: string, name: string, alternatives: readonly string[], ...more: string[]) => {
    const { privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    });
    writeFileSync(key, privateKey, { mode: 0o600 });
    const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=${alternatives.join(',')}`];
    execFileSync('openssl', [...REQUEST, '-key', key, '-out', certificate, ...subject, ...more], { stdio: 'pipe' });
  };
  make(files.caKey, files.ca, authority, [`DNS:${authority}`], '-addext', 'basicConstraints=critical,CA:TRUE');
  make(files.key, files.certificate, 'server', names, '-CA', files.ca, '-CAkey', files.caKey);
  return files;
}
