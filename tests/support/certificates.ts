// Certificates of a test's own authority, made by openssl: for a server at 127.0.0.1 and for a client.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Names as Docker's DOCKER_CERT_PATH wants them: `ca.pem`, `cert.pem` and `key.pem` of the client; `server.pem` and `server-key.pem` beside. */
export function makeCertificates(dir: string): void {
  mkdirSync(dir, { recursive: true });
  const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...key, '-days', '2', '-subj', '/CN=authority of a test', '-keyout', 'ca-key.pem', '-out', 'ca.pem');
  const sign = (name: string, keyFile: string, extensions: string): void => {
    writeFileSync(path.join(dir, `${name}.ext`), extensions);
    openssl('req', ...key, '-subj', `/CN=${name}`, '-keyout', keyFile, '-out', `${name}.csr`);
    const authority = ['-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial'];
    openssl('x509', '-req', '-in', `${name}.csr`, ...authority, '-days', '2', '-extfile', `${name}.ext`, '-out', `${name}.pem`);
  };
  sign('server', 'server-key.pem', 'subjectAltName=IP:127.0.0.1,DNS:inside.test\nextendedKeyUsage=serverAuth\n');
  sign('cert', 'key.pem', 'extendedKeyUsage=clientAuth\n');
}
