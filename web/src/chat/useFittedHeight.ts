import { useLayoutEffect, type RefObject } from "react";

/** Makes a field of several lines as high as its text. */
export function useFittedHeight(fieldRef: RefObject<HTMLElement | null>, text: string): void {
  useLayoutEffect(() => {
    const element = fieldRef.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${element.scrollHeight}px`;
  }, [fieldRef, text]);
}
