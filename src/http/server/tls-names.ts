/** Maps the TLS names of Go's crypto/tls, which web configs use, to OpenSSL's names. */

/** In ascending order, because the code compares versions by their index. */
export const TLS_VERSIONS = ['TLS10', 'TLS11', 'TLS12', 'TLS13'] as const;
export type TlsVersion = (typeof TLS_VERSIONS)[number];

export const NODE_VERSIONS: Record<TlsVersion, 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'> = {
  TLS10: 'TLSv1',
  TLS11: 'TLSv1.1',
  TLS12: 'TLSv1.2',
  TLS13: 'TLSv1.3',
};

/** `RequireClientCert` is exporter-toolkit's old name for `RequireAnyClientCert`. */
export const CLIENT_AUTH_TYPES = [
  'NoClientCert',
  'RequestClientCert',
  'RequireAnyClientCert',
  'RequireClientCert',
  'VerifyClientCertIfGiven',
  'RequireAndVerifyClientCert',
] as const;

/** Cipher suites of TLS 1.3. They are always enabled, as in Go, where a program cannot disable them. */
export const TLS13_SUITES = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
] as const;

/** Default cipher suites for TLS 1.2. They have forward secrecy and authenticated encryption. */
const SEALED = {
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
} as const;

/** Additional default cipher suites for TLS 1.0 and 1.1, because these versions do not support `SEALED`. */
const CBC = {
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
} as const;

/** OpenSSL's names by Go's names. */
export const CIPHER_SUITES = {
  ...Object.fromEntries(TLS13_SUITES.map((name) => [name, name])),
  ...SEALED,
  ...CBC,
  TLS_RSA_WITH_AES_128_GCM_SHA256: 'AES128-GCM-SHA256',
  TLS_RSA_WITH_AES_256_GCM_SHA384: 'AES256-GCM-SHA384',
  TLS_RSA_WITH_AES_128_CBC_SHA: 'AES128-SHA',
  TLS_RSA_WITH_AES_256_CBC_SHA: 'AES256-SHA',
} as Readonly<Record<string, string>>;

export const CURVES = {
  CurveP256: 'prime256v1',
  CurveP384: 'secp384r1',
  CurveP521: 'secp521r1',
  X25519: 'X25519',
} as Readonly<Record<string, string>>;

/** Converts Go's names of suites to OpenSSL's. Without `suites`, uses defaults for the lowest TLS version `least`. */
export function openSslCiphers(suites: readonly string[] | undefined, least: TlsVersion): string {
  const old = least === 'TLS10' || least === 'TLS11';
  const unasked = [...Object.keys(SEALED), ...(old ? Object.keys(CBC) : [])];
  const below13 = (suites?.length ? suites : unasked).filter((name) => !TLS13_SUITES.includes(name as never));
  const list = [...TLS13_SUITES, ...below13.map((name) => CIPHER_SUITES[name])];
  // OpenSSL allows TLS 1.0 and 1.1 only at security level 0.
  return [...list, ...(old ? ['@SECLEVEL=0'] : [])].join(':');
}
