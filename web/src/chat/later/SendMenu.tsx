import type { Carried } from "lakh-client";
import { BellOff, CalendarClock, ChevronDown, Timer } from "lucide-react";
import { useState } from "react";
import { IconButton } from "../../ui/IconButton.tsx";
import { Menu, MenuItem, MenuLine, MenuNote } from "../../ui/Menu.tsx";
import { LIFETIMES } from "../model/durations.ts";
import { useChat } from "../useChat.ts";
import { WhenDialog } from "./WhenDialog.tsx";

interface SendMenuProps {
  /** Whether there is something to send. */
  enabled: boolean;
  className?: string | undefined;
  onSend: (carried: Carried) => void;
  /** False if it was refused: then what was written stays. */
  onSendAt: (at: number) => Promise<boolean>;
}

/** The other ways to send: later, for a while, or without a sound. */
export function SendMenu({ enabled, className, onSend, onSendAt }: SendMenuProps) {
  const [asking, setAsking] = useState(false);
  const mayLater = useChat((state) => state.features.has("scheduled:list"));
  if (!enabled) return null;
  return (
    <>
      <Menu
        side="top"
        trigger={
          <IconButton label="Message options" className={className}>
            <ChevronDown size={17} aria-hidden />
          </IconButton>
        }
      >
        {mayLater && (
          <MenuItem icon={<CalendarClock size={16} aria-hidden />} onSelect={() => setAsking(true)}>
            Send later…
          </MenuItem>
        )}
        <MenuItem
          icon={<BellOff size={16} aria-hidden />}
          onSelect={() => onSend({ silent: true })}
        >
          Send without notifying
        </MenuItem>
        <MenuLine />
        <MenuNote title="Disappears after" text="For everybody, wherever it was read." />
        {LIFETIMES.map(({ seconds, label }) => (
          <MenuItem
            key={seconds}
            icon={<Timer size={16} aria-hidden />}
            onSelect={() => onSend({ expires_in_s: seconds })}
          >
            {label}
          </MenuItem>
        ))}
      </Menu>
      {asking && (
        <WhenDialog
          title="Send later"
          action="Schedule"
          onDone={async (at) => {
            if (await onSendAt(at)) setAsking(false);
          }}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  );
}
