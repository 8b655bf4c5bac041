import { LoaderCircle } from "lucide-react";
import { ConnectionLost } from "../app/ConnectionLost.tsx";
import { Banner } from "../ui/Banner.tsx";
import { useWorld, useWorldSession } from "./useWorld.ts";

/** Says what is happening to the connection, whenever it is not simply there. */
export function WorldConnection() {
  const session = useWorldSession();
  const connection = useWorld((state) => state.connection);
  const back = useWorld((state) => state.back);
  const inside = useWorld(({ info }) => info !== null);
  if (connection.status === "connected") {
    return inside && !back ? (
      <Banner tone="info" icon={<LoaderCircle size={18} aria-hidden />}>
        Coming back into the world…
      </Banner>
    ) : null;
  }
  return (
    <ConnectionLost
      connection={connection}
      trying="No connection to the server. Trying again… What you see is how it was."
      onReconnect={() => session.reconnect()}
    />
  );
}
