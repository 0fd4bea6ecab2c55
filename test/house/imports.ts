// Finds what a TypeScript file imports, types included. Bun's own scanner drops `import type`, which for layers is as
// much a dependency as any other.

export type Import = { specifier: string; line: number };

/** Strings and comments, so that an example in a comment is not taken for an import and `//` in a URL is not a comment. */
const literalOrComment = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;

const importForms = [
  // import x from 'y'; import type { x } from 'y'; export { x } from 'y'; export * from 'y'
  /(?:^|[;}])[ \t]*(?:import|export)\b[^'"`;()=]*?\bfrom\s*(['"])(?<specifier>[^'"\n]+)\1/gm,
  // import 'y'
  /(?:^|[;}])[ \t]*import\s*(['"])(?<specifier>[^'"\n]+)\1/gm,
  // import('y'), the dynamic one and the type; require('y'); require.resolve('y')
  /(?<![.\w$])(?:import|require|require\.resolve)\s*\(\s*(['"`])(?<specifier>[^'"`\n]+)\1/g,
];

export function importsOf(source: string): Import[] {
  const code = specifiersOnly(source);
  const found: Import[] = [];
  for (const form of importForms) {
    for (const match of code.matchAll(form)) {
      const end = match.index + match[0].length;
      found.push({ specifier: match.groups?.['specifier'] ?? '', line: code.slice(0, end).split('\n').length });
    }
  }
  return found.sort((a, b) => a.line - b.line);
}

/** What a string that names a module follows. */
const beforeSpecifier = /(?:\bfrom|\bimport|\b(?:import|require|require\.resolve)\s*\()\s*$/;

/** Comments, and the text of strings that name no module, become blanks. Line breaks stay, so that line numbers hold. */
function specifiersOnly(source: string): string {
  return source.replace(literalOrComment, (part: string, offset: number) => {
    const isString = !part.startsWith('/');
    if (isString && beforeSpecifier.test(source.slice(Math.max(0, offset - 80), offset))) return part;
    return part.replace(/[^\n]/g, ' ');
  });
}
