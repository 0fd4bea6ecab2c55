/** A program that is handed to Node.js as it is, imported with `with { type: 'text' }`. */
declare module '*-program.mjs' {
  const text: string;
  export default text;
}
