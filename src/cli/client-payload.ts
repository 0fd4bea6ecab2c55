import { open, readFile } from 'node:fs/promises';
import { MAX_REMAINING_LENGTH } from '../protocol/packet-type.ts';
import type { CommandIo } from './client-io.ts';
import type { MessageSource } from './client-options.ts';
import { encodeWord } from './client-words.ts';
import { ClientSetupError } from './client-setup-error.ts';

/**
 * The payload of a message that is sent whole.
 *
 * @throws ClientSetupError
 */
export async function loadPayload(
  source: Exclude<MessageSource, { kind: 'lines' }>,
  io: CommandIo,
): Promise<Uint8Array> {
  switch (source.kind) {
    case 'none':
      return new Uint8Array(0);
    case 'text':
      return encodeWord(source.text);
    case 'file':
      return readPayloadFile(source.path);
    case 'stdin':
      return readStdin(io);
  }
}

async function readPayloadFile(path: string): Promise<Uint8Array> {
  const trailer = `Error loading input file "${path}".`;
  try {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      if (size > MAX_REMAINING_LENGTH) throw tooLong(trailer);
      return await readFile(file);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof ClientSetupError) throw error;
    throw new ClientSetupError(`Error: Unable to open file "${path}".\n${trailer}`, { cause: error });
  }
}

async function readStdin(io: CommandIo): Promise<Uint8Array> {
  const trailer = 'Error loading input from stdin.';
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of io.stdin()) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_REMAINING_LENGTH) throw tooLong(trailer);
  }
  if (length === 0) throw new ClientSetupError(`Error: Zero length input.\n${trailer}`);
  const payload = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    payload.set(chunk, offset);
    offset += chunk.length;
  }
  return payload;
}

function tooLong(trailer: string): ClientSetupError {
  return new ClientSetupError(`Error: File must be less than ${MAX_REMAINING_LENGTH} bytes.\n\n${trailer}`);
}
