import { Globe2, RefreshCw } from "lucide-react";
import { useEffect } from "react";
import { usePathname } from "wouter/use-browser-location";
import { whySignIn } from "../app/connection.ts";
import { useTitle } from "../app/Page.tsx";
import { useStore } from "../app/store.ts";
import { identity, type Identity } from "../signin/identity.ts";
import { SignInGate } from "../signin/SignInGate.tsx";
import { Button } from "../ui/Button.tsx";
import { Empty } from "../ui/Empty.tsx";
import { Notice } from "../ui/Notice.tsx";
import { Controls } from "./Controls.tsx";
import { current, startStay } from "./current.ts";
import { WorldConnection } from "./WorldConnection.tsx";
import { Figures } from "./Figures.tsx";
import { People } from "./People.tsx";
import { worldOfPath } from "./paths.ts";
import { useView } from "./useView.ts";
import { useWorld, useWorldSession, WorldContext } from "./useWorld.ts";
import { View } from "./View.tsx";
import styles from "./WorldPage.module.css";

export default function WorldPage() {
  const auth = useStore(identity);
  const world = worldOfPath(usePathname());
  if (!auth) return <SignInGate error={null} />;
  return <Stay key={world} auth={auth} world={world} />;
}

/** One is in the world for as long as one looks at it. */
function Stay({ auth, world }: { auth: Identity; world: string }) {
  const session = useStore(current);
  useEffect(() => startStay(auth, world), [auth, world]);
  if (!session) return null;
  return (
    <WorldContext value={session}>
      <World />
    </WorldContext>
  );
}

function World() {
  const session = useWorldSession();
  const name = useWorld(({ info }) => info?.name ?? null);
  const refusal = useWorld((state) => state.refusal);
  const unknown = useWorld(({ connection }) => whySignIn(connection));
  const [view, setView] = useView();
  useTitle(name ?? session.name);

  return (
    <div className={styles.page}>
      {unknown !== null && <SignInGate error={unknown} />}
      <WorldConnection />
      <div className={styles.stage}>
        <View view={view} />
        <People />
        <Figures view={view} onView={setView} />
        <Controls view={view} onView={setView} />
        {refusal !== null && (
          <div className={styles.refused}>
            <Empty
              icon={<Globe2 size={26} aria-hidden />}
              title="You are not in this world"
              action={
                <Button onClick={() => session.again()}>
                  <RefreshCw size={16} aria-hidden /> Go in
                </Button>
              }
            >
              {refusal}
            </Empty>
          </div>
        )}
      </div>
      <Notice notices={session.notices} />
    </div>
  );
}
