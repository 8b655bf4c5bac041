import { Provider as TipProvider } from "@radix-ui/react-tooltip";
import { Compass } from "lucide-react";
import { lazy, Suspense } from "react";
import { Link, Route, Switch } from "wouter";
import { Empty } from "../ui/Empty.tsx";
import { Spinner } from "../ui/Spinner.tsx";
import { Boundary } from "./Boundary.tsx";
import { Page } from "./Page.tsx";
import { Shell } from "./Shell.tsx";

// A page is loaded when it is first opened.
const Overview = lazy(() => import("../overview/Overview.tsx"));
const SignInPage = lazy(() => import("../signin/SignInPage.tsx"));
const ChatPage = lazy(() => import("../chat/ChatPage.tsx"));
const WorldPage = lazy(() => import("../world/WorldPage.tsx"));

export function App() {
  return (
    <TipProvider delayDuration={400}>
      <Shell>
        <Boundary>
          <Suspense fallback={<Loading />}>
            <Switch>
              <Route path="/" component={Overview} />
              <Route path="/sign-in" component={SignInPage} />
              {/* One route for both, so that the connection outlives a change of room. */}
              <Route path={/^\/chat(?:\/.*)?$/} component={ChatPage} />
              <Route path={/^\/world(?:\/.*)?$/} component={WorldPage} />
              <Route component={NotFound} />
            </Switch>
          </Suspense>
        </Boundary>
      </Shell>
    </TipProvider>
  );
}

function Loading() {
  return (
    <Page title="Loading" hideTitle>
      <Spinner label="Loading…" />
    </Page>
  );
}

function NotFound() {
  return (
    <Page title="Not found" hideTitle>
      <Empty
        icon={<Compass size={26} aria-hidden />}
        title="There is no page here"
        action={<Link href="/">Go to the overview</Link>}
      >
        The address may be mistyped, or belong to a module that this server does not run.
      </Empty>
    </Page>
  );
}
