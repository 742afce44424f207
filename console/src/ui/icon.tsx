// The icons, drawn here: 16 by 16, one stroke, in the colour of the text. They are for the eye alone.
const PATHS = {
  home: "M2.5 7.2 8 2.8l5.5 4.4v5.6a.7.7 0 0 1-.7.7H3.2a.7.7 0 0 1-.7-.7zM6.3 13.5V9.2h3.4v4.3",
  key: "M9.8 9.2a3.4 3.4 0 1 0-3-3L2.5 10.5v3h3v-1.8h1.7V10h1.7zM10.9 5.2v.01",
  chart: "M2.5 13.5h11M4.3 11V8M8 11V3.5M11.7 11V6",
  wallet:
    "M3 4.5h9.3c.7 0 1.2.5 1.2 1.2v6.1c0 .7-.5 1.2-1.2 1.2H3.7c-.7 0-1.2-.5-1.2-1.2V4c0-.6.5-1 1-1h8M10.8 8.7v.01",
  models: "M8 2.2 13.5 5 8 7.8 2.5 5zM2.5 8 8 10.8 13.5 8M2.5 11 8 13.8l5.5-2.8",
  book: "M3 3h3.8c.7 0 1.2.5 1.2 1.2v9c0-.6-.5-1-1.2-1H3zM13 3H9.2C8.5 3 8 3.5 8 4.2v9c0-.6.5-1 1.2-1H13z",
  settings: "M2.5 4.5h5M11 4.5h2.5M2.5 11.5H5M8.5 11.5h5M9.2 2.8v3.4M6.8 9.8v3.4",
  play: "M13.5 8.8V3.7c0-.7-.5-1.2-1.2-1.2H3.7c-.7 0-1.2.5-1.2 1.2v6.1c0 .7.5 1.2 1.2 1.2h1.6v2.5L8.2 11h4.1M5.5 5.7h5M5.5 8h3",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  close: "m4 4 8 8M12 4l-8 8",
  copy: "M6 5.5h6c.6 0 1 .4 1 1v6c0 .6-.4 1-1 1H6c-.6 0-1-.4-1-1v-6c0-.6.4-1 1-1M3.5 10.5h-.2c-.5 0-.8-.3-.8-.8V3.3c0-.5.3-.8.8-.8h6.4c.5 0 .8.3.8.8v.2",
  check: "m3 8.5 3.3 3.3L13 4.8",
  more: "M3.5 8v.01M8 8v.01M12.5 8v.01",
  sun: "M8 5.3a2.7 2.7 0 1 0 0 5.4 2.7 2.7 0 0 0 0-5.4M8 1.8v1M8 13.2v1M1.8 8h1M13.2 8h1M3.6 3.6l.7.7M11.7 11.7l.7.7M3.6 12.4l.7-.7M11.7 4.3l.7-.7",
  moon: "M13.2 9.6A5.6 5.6 0 0 1 6.4 2.8a5.6 5.6 0 1 0 6.8 6.8",
  screen: "M3 3h10c.3 0 .5.2.5.5v6.8c0 .3-.2.5-.5.5H3a.5.5 0 0 1-.5-.5V3.5c0-.3.2-.5.5-.5M6 13.3h4",
  out: "M6.5 13.5H3.3a.8.8 0 0 1-.8-.8V3.3c0-.5.3-.8.8-.8h3.2M10.5 11l3-3-3-3M13.2 8H6.3",
  download: "M8 2.5v7.3M4.8 6.8 8 10l3.2-3.2M2.5 13.3h11",
  plus: "M8 3v10M3 8h10",
  alert: "M8 2.5 14 13H2zM8 6.5v3M8 11.3v.01",
  info: "M8 2.3a5.7 5.7 0 1 0 0 11.4A5.7 5.7 0 0 0 8 2.3M8 7.3v3.4M8 5.2v.01",
  refresh: "M13.2 8A5.2 5.2 0 1 1 11.4 4M13.3 2.5v2.7h-2.7",
  trash: "M2.8 4.2h10.4M6 4.2V2.8h4v1.4M4.2 4.2l.6 9h6.4l.6-9",
  edit: "m10.3 3.3 2.4 2.4-6.9 6.9-3 .6.6-3z",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.3 10.3l3.2 3.2",
  send: "M13.5 2.5 7.3 8.7M13.5 2.5 9.6 13.5 7.3 8.7 2.5 6.4z",
  stop: "M4.5 4.5h7v7h-7z",
  mail: "M2.5 4h11v8h-11zM2.5 4.5 8 8.8l5.5-4.3",
  link: "M6.7 9.3a2.6 2.6 0 0 0 3.7 0l2-2a2.6 2.6 0 0 0-3.7-3.7l-.6.6M9.3 6.7a2.6 2.6 0 0 0-3.7 0l-2 2a2.6 2.6 0 0 0 3.7 3.7l.6-.6",
  up: "m3.5 10 4.5-4.5L12.5 10",
  down: "m3.5 6 4.5 4.5L12.5 6",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, className = "" }: { name: IconName; className?: string }) {
  return (
    <svg
      className={`icon ${className}`}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
