import { CircleAlert } from "lucide-react";
import { Component, type ReactNode } from "react";
import { Button } from "../ui/Button.tsx";
import { Empty } from "../ui/Empty.tsx";

/** A page that breaks takes neither the shell nor the other pages with it. */
export class Boundary extends Component<{ children: ReactNode }, { broken: boolean }> {
  override state = { broken: false };

  static getDerivedStateFromError() {
    return { broken: true };
  }

  override render() {
    if (!this.state.broken) return this.props.children;
    return (
      <Empty
        icon={<CircleAlert size={26} aria-hidden />}
        title="This page has stopped working"
        action={<Button onClick={() => window.location.reload()}>Load it again</Button>}
      >
        What went wrong is in the browser’s console. A newer version of the server may also have
        replaced the page’s files.
      </Empty>
    );
  }
}
