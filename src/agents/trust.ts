/** Makes the usual tools in a sandbox trust the sandbox's own authority in addition to those that the host trusts. */

/** Where the engine shows the bundle inside; Debian's own tools look there without being told. */
export const trustBundlePath = '/etc/ssl/certs/ca-certificates.crt';

/**
 * Variables by which tools take a whole bundle. `NODE_EXTRA_CA_CERTS` adds to Node's built-in list, the others replace
 * the tool's own. Left out on purpose: `SSL_CERT_DIR`, which makes OpenSSL look in a folder of hashes beside the bundle.
 */
const variables = [
  // OpenSSL, Python's ssl, Ruby, Go, rustls-native-certs, Claude Code, Codex
  'SSL_CERT_FILE',
  // Node, Claude Code
  'NODE_EXTRA_CA_CERTS',
  'REQUESTS_CA_BUNDLE',
  'PIP_CERT',
  'CURL_CA_BUNDLE',
  'GIT_SSL_CAINFO',
  'CARGO_HTTP_CAINFO',
  'AWS_CA_BUNDLE',
  'NIX_SSL_CERT_FILE',
  'GRPC_DEFAULT_SSL_ROOTS_FILE_PATH',
  'DENO_CERT',
  'CODEX_CA_CERTIFICATE',
  'CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE',
  'HTTPLIB2_CA_CERTS',
  'BUNDLE_SSL_CA_CERT',
  // npm and yarn classic read `cafile` from here
  'npm_config_cafile',
  // yarn 2 and later
  'YARN_HTTPS_CA_FILE_PATH',
  'HEX_CACERTS_PATH',
  'PERL_LWP_SSL_CA_FILE',
] as const;

export function trustEnvironment(bundlePath: string = trustBundlePath): Readonly<Record<string, string>> {
  return Object.fromEntries(variables.map((name) => [name, bundlePath]));
}

/** Both in one text, each block on lines of its own; the host's text may end anywhere. */
export function trustBundle(hostPem: string, authorityPem: string): string {
  return [hostPem, authorityPem]
    .map((pem) => pem.replaceAll('\r\n', '\n').trim())
    .filter((pem) => pem !== '')
    .map((pem) => `${pem}\n`)
    .join('');
}
