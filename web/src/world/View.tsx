import { Minus, Plus } from "lucide-react";
import { useEffect, useRef } from "react";
import { useColorScheme } from "../app/useColorScheme.ts";
import { IconButton } from "../ui/IconButton.tsx";
import { Hint } from "./Hint.tsx";
import { Stage } from "./stage.ts";
import type { ViewState } from "./useView.ts";
import { useWorld, useWorldSession } from "./useWorld.ts";
import styles from "./View.module.css";

/** The canvas, the small map, and coming nearer. */
export function View({ view }: { view: ViewState }) {
  const session = useWorldSession();
  const canvas = useRef<HTMLCanvasElement>(null);
  const map = useRef<HTMLCanvasElement>(null);
  const stage = useRef<Stage | null>(null);
  const scheme = useColorScheme();
  const summary = useWorld(({ people, stats, tiles }) =>
    summaryOf(people.length, stats?.entities ?? 0, tiles),
  );
  const sight = useWorld((state) => state.sight);

  useEffect(() => {
    if (!canvas.current || !map.current) return;
    const made = new Stage(session, canvas.current, map.current);
    stage.current = made;
    canvas.current.focus({ preventScroll: true });
    const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
    const settle = () => (made.still = calm.matches);
    settle();
    calm.addEventListener("change", settle);
    return () => {
      calm.removeEventListener("change", settle);
      stage.current = null;
      made.close();
    };
  }, [session]);

  useEffect(() => stage.current?.dress(scheme === "dark"), [scheme, session]);

  useEffect(() => {
    if (!stage.current) return;
    stage.current.tool = view.tool;
    stage.current.ages = view.ages;
    stage.current.seeAsFar(sight);
  }, [view, session, sight]);

  return (
    <>
      <canvas
        ref={canvas}
        className={styles.canvas}
        data-tool={view.tool === null ? "walk" : "paint"}
        tabIndex={0}
        // It takes keys of its own, which is what this role is for.
        // eslint-disable-next-line jsx-a11y/no-interactive-element-to-noninteractive-role
        role="application"
        aria-label={`The world ${session.name}. Walk with the arrow keys or W, A, S, D; hold Shift to run. With a colour chosen, Space paints where you stand.`}
        aria-describedby="world-summary"
      />
      <p id="world-summary" className={styles.summary}>
        {summary}
      </p>
      <Hint />
      <div className={styles.map}>
        <div role="img" aria-label={`Map: ${summary}`}>
          <canvas ref={map} className={styles.minimap} />
        </div>
        <div className={styles.zoom}>
          <IconButton label="Nearer" onClick={() => stage.current?.camera.zoomBy(1.35)}>
            <Plus size={18} aria-hidden />
          </IconButton>
          <IconButton label="Farther" onClick={() => stage.current?.camera.zoomBy(1 / 1.35)}>
            <Minus size={18} aria-hidden />
          </IconButton>
        </div>
      </div>
    </>
  );
}

function summaryOf(people: number, entities: number, tiles: number): string {
  const others = entities - people;
  const word = people === 1 ? "1 person" : `${people} people`;
  const all = others > 0 ? `${word} and ${others} others in sight.` : `${word} in sight.`;
  return tiles > 0 ? `${all} ${tiles} painted tiles.` : all;
}
