import type { SandboxId } from '../../base/ids.ts';
import type { LocalPlace } from '../../gateway/local-names.ts';

/** From a connection of a session's agent to the program of a server in its own sandbox. The link is made once, at the start. */
export interface ServerLinks {
  readonly serve: (wanted: WantedServer, ...connection: Parameters<LocalPlace['serve']>) => void;
  readonly madeBy: (maker: ServerLinks['serve']) => void;
}

export interface WantedServer {
  readonly session: SandboxId;
  /** its name */
  readonly server: string;
}

/** Until somebody makes them, whoever connects is let go. */
export function createServerLinks(): ServerLinks {
  let maker: ServerLinks['serve'] = (_, socket) => void socket.destroy();
  return {
    serve: (...wanted) => maker(...wanted),
    madeBy(given) {
      maker = given;
    },
  };
}
