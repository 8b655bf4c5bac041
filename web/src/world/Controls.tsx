import { Bot, Eraser, Footprints, Gauge, Shirt } from "lucide-react";
import { Menu, MenuChoice } from "../ui/Menu.tsx";
import { IconButton } from "../ui/IconButton.tsx";
import { Tip } from "../ui/Tip.tsx";
import styles from "./Controls.module.css";
import { Slider } from "./Slider.tsx";
import { Swatch } from "./Swatch.tsx";
import { COATS, PAINTS } from "./model/tiles.ts";
import type { SetView, ViewState } from "./useView.ts";
import { useWorld, useWorldSession } from "./useWorld.ts";

const MOST_BOTS = 500;

/** What one can do: walk, paint, let bots loose, look at the figures. */
export function Controls({ view, onView }: { view: ViewState; onView: SetView }) {
  const session = useWorldSession();
  const hasLand = useWorld(({ info }) => (info?.land ?? null) !== null);
  const bots = useWorld((state) => state.bots);
  return (
    <div className={styles.bar} role="toolbar" aria-label="What you can do">
      {hasLand && (
        <div className={styles.group} role="group" aria-label="Walk or paint">
          <IconButton
            label="Walk"
            className={styles.tool}
            aria-pressed={view.tool === null}
            onClick={() => onView({ tool: null })}
          >
            <Footprints size={19} aria-hidden />
          </IconButton>
          <div className={styles.paints}>
            {PAINTS.map(({ value, name, color }) => (
              <Tip key={value} text={`Paint ${name}`} side="top">
                <button
                  type="button"
                  className={styles.paint}
                  aria-label={`Paint ${name}`}
                  aria-pressed={view.tool === value}
                  onClick={() => onView({ tool: view.tool === value ? null : value })}
                >
                  <Swatch color={color} />
                </button>
              </Tip>
            ))}
            <IconButton
              label="Take paint away"
              className={styles.tool}
              aria-pressed={view.tool === 0}
              onClick={() => onView({ tool: view.tool === 0 ? null : 0 })}
            >
              <Eraser size={18} aria-hidden />
            </IconButton>
          </div>
        </div>
      )}
      <div className={styles.group}>
        <Coat />
        <Slider
          label="Bots"
          icon={<Bot size={18} aria-hidden />}
          value={bots}
          min={0}
          max={MOST_BOTS}
          step={10}
          onChoose={(count) => void session.setBots(count)}
        />
        <IconButton
          label="What you get"
          className={styles.tool}
          aria-pressed={view.figures}
          onClick={() => onView({ figures: !view.figures })}
        >
          <Gauge size={19} aria-hidden />
        </IconButton>
      </div>
    </div>
  );
}

function Coat() {
  const session = useWorldSession();
  const coat = useWorld((state) => state.coat);
  return (
    <Menu
      side="top"
      align="start"
      trigger={
        <button type="button" className={styles.coat} aria-label="Your colour">
          <Shirt size={18} aria-hidden />
          <Swatch color={coat} small />
        </button>
      }
    >
      <MenuChoice
        label="Your colour"
        value={String(coat)}
        choices={COATS.map(({ name, color }) => ({
          value: String(color),
          label: name,
          icon: <Swatch color={color} small />,
        }))}
        onChoose={(color) => session.setCoat(Number(color))}
      />
    </Menu>
  );
}
