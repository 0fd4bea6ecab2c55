/** A program for tests that kill it: runs a broker with a PSK listener until it is ended. */
import { startPskServer } from './psk-server.ts';

const { port, listener, folder } = await startPskServer();
console.log(JSON.stringify({ port, helperPid: listener.helperPid, testFolder: folder }));
