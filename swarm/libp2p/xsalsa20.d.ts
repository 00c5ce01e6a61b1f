// The types of a package that brings none.
declare module 'xsalsa20' {
  /** A key stream of XSalsa20: `update` mixes the next bytes with it. Nonce of 24 bytes, key of 32. */
  function xsalsa20(nonce: Uint8Array, key: Uint8Array): { update(bytes: Uint8Array): Uint8Array };
  export = xsalsa20;
}
