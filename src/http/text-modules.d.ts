/** Files that are sent to browsers as they are, imported with `with { type: 'text' }`. */
declare module '*.client.js' {
  const text: string;
  export default text;
}

declare module '*.css' {
  const text: string;
  export default text;
}
