declare module '*/v8-flags.js' {
  export const V8_FLAGS: readonly string[];
}
