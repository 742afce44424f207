// The drawing. A chunk of its own: Recharts is larger than all the rest.
import { Bar, BarChart, CartesianGrid, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import { useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { showDay } from "../lib/time.ts";
import { showUsd } from "../lib/usd.ts";
import { axisOf, axisUsd } from "./axis.ts";
import type { ChartData, ChartDay } from "./series.ts";

const HEIGHT = 240;
const MARGIN = { top: 8, right: 4, bottom: 0, left: 0 };
/** Days that are written under the bars, at most; and on a phone, where more would run into each other. */
const MARKS = 6;
const MARKS_NARROW = 4;
const NARROW = matchMedia("(max-width: 720px)");
const NO_POINTS: number[] = [];
const CURSOR = { fill: "var(--hover)" };
const AXIS = { stroke: "var(--line)" };
const TICK = { fill: "var(--muted)", fontSize: 12 };

export default function Bars({ data }: { data: ChartData }) {
  // What follows the pointer is made when there is one: it is a good part of the work of the first drawing.
  const [isPointedAt, setPointedAt] = useState(false);
  const step = useSteps(2);
  const marks = useIsNarrow() ? MARKS_NARROW : MARKS;
  const { ticks, width } = useMemo(() => axisOf(Math.max(0, ...data.days.map(heightOf))), [data]);
  const domain = useMemo(() => [0, ticks.at(-1) ?? 1], [ticks]);
  return (
    <ResponsiveContainer width="100%" height={HEIGHT} onPointerEnter={() => setPointedAt(true)}>
      <BarChart data={data.days} margin={MARGIN} accessibilityLayer={false}>
        {/* Intervals and points are given: to find them, Recharts measures every label in the page. */}
        {step >= 2 && <CartesianGrid vertical={false} verticalPoints={NO_POINTS} stroke="var(--line)" />}
        <XAxis
          dataKey="day"
          tickFormatter={showDay}
          tick={TICK}
          tickLine={false}
          axisLine={AXIS}
          interval={Math.ceil(data.days.length / marks) - 1}
        />
        <YAxis
          tickFormatter={axisUsd}
          tick={TICK}
          tickLine={false}
          axisLine={false}
          width={width}
          ticks={ticks}
          domain={domain}
          interval={0}
        />
        {isPointedAt && <Tooltip cursor={CURSOR} isAnimationActive={false} content={<Tip data={data} />} />}
        {step >= 1 && <Bar dataKey={heightOf} shape={Stack} isAnimationActive={false} maxBarSize={34} />}
      </BarChart>
    </ResponsiveContainer>
  );
}

/**
 * Counts to `most`, one with each turn of the event loop. Whatever Recharts is given at once it draws in one task, twice:
 * in parts, no task is long on a slow device.
 */
function useSteps(most: number): number {
  const [step, setStep] = useState(0);
  useEffect(() => {
    if (step === most) return;
    const timer = setTimeout(() => setStep(step + 1), 0);
    return () => clearTimeout(timer);
  }, [step, most]);
  return step;
}

function useIsNarrow(): boolean {
  return useSyncExternalStore(
    (listener) => {
      NARROW.addEventListener("change", listener);
      return () => NARROW.removeEventListener("change", listener);
    },
    () => NARROW.matches,
  );
}

const heightOf = ({ heights }: ChartDay) => heights.reduce((sum, height) => sum + height, 0);

interface StackProps {
  x?: number;
  y?: number;
  width?: number;
  height?: number;
  payload?: ChartDay;
}

/** All of a day's bar. One series with its parts drawn here takes a fraction of the work that one for each group does. */
function Stack({ x = 0, y = 0, width = 0, height = 0, payload }: StackProps) {
  if (!payload) return null;
  const scale = height / (heightOf(payload) || 1);
  const below = (index: number) => payload.heights.slice(0, index + 1).reduce((sum, part) => sum + part, 0);
  return (
    <g>
      {payload.heights.map((part, index) => (
        <rect
          key={index}
          x={x}
          y={y + height - below(index) * scale}
          width={width}
          height={part * scale}
          fill={`var(--series-${index + 1})`}
        />
      ))}
    </g>
  );
}

interface TipProps {
  active?: boolean;
  label?: string | number;
  data: ChartData;
}

function Tip({ active, label, data }: TipProps) {
  const day = active ? data.days.find((one) => one.day === label) : undefined;
  if (!day) return null;
  const shown = data.series
    .map(({ id, name }, index) => ({ id: id ?? "rest", name, index, cost: day.exact[index] ?? 0n }))
    .filter(({ cost }) => cost > 0n);
  return (
    <div className="chart-tip">
      <strong>{showDay(day.day)}</strong>
      <dl>
        {shown.map(({ id, name, index, cost }) => (
          <div key={id}>
            <dt>
              <i className={`swatch s${index + 1}`} /> {name}
            </dt>
            <dd className="num">{showUsd(cost)}</dd>
          </div>
        ))}
        <div className="sum">
          <dt>Total</dt>
          <dd className="num">{showUsd(day.total)}</dd>
        </div>
      </dl>
    </div>
  );
}
