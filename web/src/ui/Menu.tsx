import * as Dropdown from "@radix-ui/react-dropdown-menu";
import clsx from "clsx";
import { Check } from "lucide-react";
import type { ReactElement, ReactNode } from "react";
import styles from "./Menu.module.css";

interface MenuProps {
  trigger: ReactElement;
  /** Hears whether it is open. */
  onOpen?: (open: boolean) => void;
  align?: "start" | "end";
  side?: "top" | "bottom";
  children: ReactNode;
}

/** A menu under a button. Not modal: a modal one would make style elements at run time. */
export function Menu({ trigger, align = "end", side = "bottom", onOpen, children }: MenuProps) {
  return (
    <Dropdown.Root modal={false} {...(onOpen ? { onOpenChange: onOpen } : {})}>
      <Dropdown.Trigger asChild>{trigger}</Dropdown.Trigger>
      <Dropdown.Portal>
        <Dropdown.Content
          className={styles.menu}
          align={align}
          side={side}
          sideOffset={6}
          collisionPadding={8}
        >
          {children}
        </Dropdown.Content>
      </Dropdown.Portal>
    </Dropdown.Root>
  );
}

interface MenuItemProps {
  icon?: ReactNode;
  /** Takes something away for good. */
  danger?: boolean;
  onSelect: () => void;
  children: ReactNode;
}

export function MenuItem({ icon, danger, onSelect, children }: MenuItemProps) {
  return (
    <Dropdown.Item className={clsx(styles.item, danger && styles.danger)} onSelect={onSelect}>
      {icon}
      {children}
    </Dropdown.Item>
  );
}

interface MenuChoiceProps<T extends string> {
  label: string;
  value: T;
  choices: readonly { value: T; label: string; icon?: ReactNode }[];
  onChoose: (value: T) => void;
}

/** One of several, with a mark at the chosen one. */
export function MenuChoice<T extends string>(props: MenuChoiceProps<T>) {
  const { label, value, choices, onChoose } = props;
  return (
    <Dropdown.RadioGroup value={value} onValueChange={(next) => onChoose(next as T)}>
      <Dropdown.Label className={styles.label}>{label}</Dropdown.Label>
      {choices.map((choice) => (
        <Dropdown.RadioItem key={choice.value} value={choice.value} className={styles.item}>
          {choice.icon}
          {choice.label}
          <Dropdown.ItemIndicator className={styles.mark}>
            <Check size={16} aria-hidden />
          </Dropdown.ItemIndicator>
        </Dropdown.RadioItem>
      ))}
    </Dropdown.RadioGroup>
  );
}

/** Something to read, between what can be chosen. */
export function MenuNote({ title, text }: { title: string; text: string }) {
  return (
    <Dropdown.Label className={styles.note}>
      <span className={styles.noteTitle}>{title}</span>
      <span>{text}</span>
    </Dropdown.Label>
  );
}

export function MenuLine() {
  return <Dropdown.Separator className={styles.line} />;
}
