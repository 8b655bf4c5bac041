import type { Tier, WorldStats } from "lakh-client";
import { X } from "lucide-react";
import { formatBytes, formatCount } from "../ui/format.ts";
import { IconButton } from "../ui/IconButton.tsx";
import styles from "./Figures.module.css";
import { Slider } from "./Slider.tsx";
import { Sparkline } from "./Sparkline.tsx";
import type { SetView, ViewState } from "./useView.ts";
import { useWorld, useWorldSession } from "./useWorld.ts";

const TIERS: readonly { tier: Tier; name: string; meaning: string }[] = [
  { tier: "fresh", name: "At once", meaning: "told in the tick in which it happens" },
  { tier: "soon", name: "Soon", meaning: "told a few ticks later" },
  { tier: "late", name: "Later", meaning: "far away, or more than the budget allows" },
  { tier: "still", name: "At rest", meaning: "there was nothing to tell lately" },
];

const SIGHT = { min: 10, max: 240, step: 10 };
/** In KB a second. */
const BUDGET = { min: 8, max: 256, step: 8 };

/** Without it, an old one looks like a slow server. */
const AGE =
  "Time since the server last told a place of those that move. Who keeps going straight on is where they seem to be, and isn’t told again until they turn.";

function percent(part: number): string {
  return `${Math.round(part * 100)} %`;
}

/** What one gets of the world: bytes, entities by tier and age, ticks merged; and what one asks for. */
export function Figures({ view, onView }: { view: ViewState; onView: SetView }) {
  const session = useWorldSession();
  const stats = useWorld((state) => state.stats);
  const traffic = useWorld((state) => state.traffic);
  const sight = useWorld((state) => state.sight);
  const budget = useWorld((state) => state.budget);
  if (!view.figures || !stats) return null;
  const rate = formatBytes(stats.bytesPerSecond);
  return (
    <section className={styles.figures} aria-labelledby="figures-title">
      <header className={styles.head}>
        <h2 id="figures-title" className={styles.title}>
          What you get
        </h2>
        <IconButton label="Close the figures" onClick={() => onView({ figures: false })}>
          <X size={16} aria-hidden />
        </IconButton>
      </header>
      <div className={styles.rate}>
        <p>
          <strong className={styles.bytes}>{rate}</strong> a second
        </p>
        <Sparkline points={traffic} most={budget} label={`Bytes a second, now ${rate}`} />
      </div>
      <Tiers stats={stats} />
      <dl className={styles.small}>
        <Figure name="Frames a second" value={formatCount(stats.framesPerSecond)} />
        <Figure name="Ticks merged a second" value={formatCount(stats.mergedPerSecond)} />
        <Figure name="Parcels late" value={formatCount(stats.late)} />
        <Figure name="Time" value={percent(stats.pace)} />
        <Figure name="Rate of the far" value={percent(stats.eased)} />
        <Figure name="Oldest" value={ages(stats.oldest)} meaning={AGE} />
        <Figure name="Middle age" value={ages(stats.middleAge)} meaning={AGE} />
      </dl>
      <div className={styles.asks}>
        <Slider
          label="Sight"
          value={sight}
          {...SIGHT}
          write={(units) => `${units} m`}
          onChoose={(units) => void session.lookAround({ sight: units })}
        />
        <Slider
          label="Budget"
          value={Math.round(budget / 1024)}
          {...BUDGET}
          write={(kb) => `${kb} KB/s`}
          onChoose={(kb) => void session.lookAround({ budget: kb * 1024 })}
        />
        <label className={styles.check} title={AGE}>
          <input
            type="checkbox"
            checked={view.ages}
            onChange={(event) => onView({ ages: event.target.checked })}
          />
          Show the age of each
        </label>
      </div>
    </section>
  );
}

function Tiers({ stats }: { stats: WorldStats }) {
  const all = Math.max(1, stats.entities);
  return (
    <div>
      <p className={styles.count}>
        <strong>{formatCount(stats.entities)}</strong>{" "}
        {stats.entities === 1 ? "entity" : "entities"} in sight
      </p>
      <svg
        className={styles.bar}
        viewBox="0 0 100 4"
        preserveAspectRatio="none"
        role="presentation"
      >
        {TIERS.map(({ tier }, index) => {
          const before = TIERS.slice(0, index).reduce((sum, one) => sum + stats.tiers[one.tier], 0);
          return (
            <rect
              key={tier}
              data-tier={tier}
              x={(before / all) * 100}
              width={(stats.tiers[tier] / all) * 100}
              y="0"
              height="4"
            />
          );
        })}
      </svg>
      <dl className={styles.tiers}>
        {TIERS.map(({ tier, name, meaning }) => (
          <div key={tier} className={styles.tier} title={meaning}>
            <dt data-tier={tier}>{name}</dt>
            <dd>{formatCount(stats.tiers[tier])}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

function Figure({ name, value, meaning }: { name: string; value: string; meaning?: string }) {
  return (
    <div className={styles.figure} title={meaning}>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function ages(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
