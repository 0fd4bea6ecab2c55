/** Sources in C, imported with `with { type: 'file' }`. */
declare module '*.c' {
  /** Where the file is. */
  const path: string;
  export default path;
}
