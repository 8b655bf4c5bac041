import { describe, expect, test } from "vitest";
import { fromField, PAUSES, spanText, toField, usualTimes, withPresent } from "./durations.ts";

describe("a span", () => {
  test("is said in the largest unit that fits", () => {
    expect(spanText(1)).toBe("1 second");
    expect(spanText(90)).toBe("2 minutes");
    expect(spanText(7200)).toBe("2 hours");
    expect(spanText(86_400)).toBe("1 day");
  });

  test("that nobody offers is still among the choices", () => {
    const choices = withPresent(PAUSES, 7);
    expect(choices.map((one) => one.seconds).slice(0, 4)).toEqual([0, 5, 7, 15]);
    expect(withPresent(PAUSES, 5)).toBe(PAUSES);
  });
});

describe("a time", () => {
  test("goes through its field unchanged, to the minute", () => {
    const time = new Date(2026, 1, 3, 4, 5).getTime();
    expect(toField(time)).toBe("2026-02-03T04:05");
    expect(fromField(toField(time))).toBe(time);
    expect(fromField("soon")).toBeNull();
  });

  test("that is offered lies ahead", () => {
    const late = new Date(2026, 1, 4, 22, 0).getTime();
    const labels = usualTimes(late).map((one) => one.label);
    expect(labels).toEqual(["In an hour", "Tomorrow at 9:00", "Monday at 9:00"]);
    for (const { time } of usualTimes(late)) expect(time).toBeGreaterThan(late);
  });

  test("of Monday is tomorrow's on a Sunday, and is not said twice", () => {
    const sunday = new Date(2026, 1, 8, 10, 0).getTime();
    expect(usualTimes(sunday).map((one) => one.label)).not.toContain("Monday at 9:00");
  });
});
