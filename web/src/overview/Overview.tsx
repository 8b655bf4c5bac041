import { RefreshCw, ShieldX, WifiOff } from "lucide-react";
import { useEffect, useState } from "react";
import type { Stats } from "../api/client.ts";
import { Page } from "../app/Page.tsx";
import { useStore } from "../app/store.ts";
import { identity, signOut } from "../signin/identity.ts";
import { askSession } from "../signin/session.ts";
import { SignInView } from "../signin/SignInPage.tsx";
import { Banner } from "../ui/Banner.tsx";
import { Button } from "../ui/Button.tsx";
import { Empty } from "../ui/Empty.tsx";
import { formatClock } from "../ui/format.ts";
import { Spinner } from "../ui/Spinner.tsx";
import { Connect } from "./Connect.tsx";
import { feed, restart, watchFeed, type Feed } from "./feed.ts";
import { Health } from "./Health.tsx";
import { Namespaces } from "./Namespaces.tsx";
import styles from "./Overview.module.css";
import { Status } from "./Status.tsx";
import { Throughput } from "./Throughput.tsx";
import { Tiles } from "./Tiles.tsx";

export default function Overview() {
  const state = useStore(feed);
  useEffect(watchFeed, []);
  const { answer, stats } = state;

  if (answer?.kind === "unauthorized") return <SignInNeeded />;
  if (answer?.kind === "forbidden") return <Forbidden />;
  if (!stats) return <NoFigures state={state} />;
  return <Figures state={state} stats={stats} />;
}

function Figures({ state, stats }: { state: Feed; stats: Stats }) {
  const lost = state.answer?.kind === "unreachable" ? state.answer : null;
  // Who came to connect a first client is not to lose the page's help the moment it works.
  const [first] = useState(stats.connections.total === 0);
  const connect = <Connect mode={stats.mode} first={first} total={stats.connections.total} />;
  return (
    <Page title="Overview" aside={<Status stats={stats} lost={lost !== null} />}>
      {lost && (
        <div className={styles.banner}>
          <Banner tone="bad" icon={<WifiOff size={18} aria-hidden />}>
            The server can’t be reached: {lost.reason}. The figures are those of{" "}
            {formatClock(state.stats_ms)}. Trying each second.
          </Banner>
        </div>
      )}
      {first && connect}
      <Tiles stats={stats} points={state.points} stale={lost !== null} />
      <div className={styles.columns}>
        <Throughput points={state.points} />
        <Health stats={stats} cpu_percent={state.cpu_percent} stale={lost !== null} />
      </div>
      <Namespaces namespaces={stats.namespaces} />
      {!first && connect}
    </Page>
  );
}

function NoFigures({ state }: { state: Feed }) {
  const lost = state.answer?.kind === "unreachable" ? state.answer : null;
  return (
    <Page title="Overview">
      {lost ? (
        <Empty
          icon={<WifiOff size={26} aria-hidden />}
          title="The server can’t be reached"
          action={
            <Button onClick={restart}>
              <RefreshCw size={16} aria-hidden /> Try now
            </Button>
          }
        >
          The page asks {window.location.host} each second, and {lost.reason}. Is it running?
        </Empty>
      ) : (
        <Spinner label="Asking the server…" />
      )}
    </Page>
  );
}

function SignInNeeded() {
  const auth = useStore(identity);
  const refused = auth && "token" in auth ? "The server does not take this token." : null;
  const session = auth && "session" in auth;
  useEffect(() => {
    // The figures were refused to a session: it has ended, and the page is to know.
    if (session) void askSession();
  }, [session]);
  return (
    <Page title="Overview" hideTitle>
      <SignInView returnTo="/" tokenError={refused} onDone={restart} />
    </Page>
  );
}

function Forbidden() {
  const change = () => {
    signOut();
    restart();
  };
  return (
    <Page title="Overview">
      <Empty
        icon={<ShieldX size={26} aria-hidden />}
        title="This token may not see the figures"
        action={<Button onClick={change}>Use another token</Button>}
      >
        They are for tokens with <code>admin</code>. Chat works with the token you have.
      </Empty>
    </Page>
  );
}
