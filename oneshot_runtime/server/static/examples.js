// Ten symbols that anybody can draw, to try recognition with: strokes of points, x and y from 0 to 1.

const STEPS = 12; // points between two corners: the pen rounds off what lies between points

const line = (...corners) => corners.slice(1).flatMap(([x, y], place) => {
  const [left, top] = corners[place];
  return Array.from({ length: STEPS + 1 }, (_, step) => [left + (x - left) * step / STEPS, top + (y - top) * step / STEPS]);
});

const circle = Array.from({ length: 25 }, (_, place) => {
  const angle = (place - 6) * Math.PI / 12;
  return [0.5 + 0.33 * Math.cos(angle), 0.5 + 0.33 * Math.sin(angle)];
});

// 16 sin^3 t and 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t, as everybody draws it.
const heart = Array.from({ length: 41 }, (_, place) => {
  const t = Math.PI + place * Math.PI / 20;
  const y = 13 * Math.cos(t) - 5 * Math.cos(2 * t) - 2 * Math.cos(3 * t) - Math.cos(4 * t);
  return [0.5 + 0.022 * 16 * Math.sin(t) ** 3, 0.47 - 0.022 * y];
});

const side = (sign) => Array.from({ length: 31 }, (_, place) => {
  const x = 0.12 + 0.76 * place / 30;
  return [x, 0.5 - sign * 0.24 * Math.sin(Math.PI * (x - 0.12) / 0.58)];
});

const spiral = Array.from({ length: 61 }, (_, place) => {
  const angle = place / 60 * 5 * Math.PI;
  return [0.5 + 0.021 * angle * Math.cos(angle), 0.5 + 0.021 * angle * Math.sin(angle)];
});

const star = Array.from({ length: 6 }, (_, place) => {
  const angle = (-90 + 144 * place) * Math.PI / 180;
  return [0.5 + 0.38 * Math.cos(angle), 0.53 + 0.38 * Math.sin(angle)];
});

export const EXAMPLES = {
  circle: [circle],
  triangle: [line([0.5, 0.16], [0.84, 0.8], [0.16, 0.8], [0.5, 0.16])],
  star: [line(...star)],
  heart: [heart],
  arrow: [line([0.14, 0.5], [0.86, 0.5]), line([0.6, 0.26], [0.86, 0.5], [0.6, 0.74])],
  house: [line([0.22, 0.5], [0.22, 0.84], [0.78, 0.84], [0.78, 0.5]), line([0.12, 0.52], [0.5, 0.16], [0.88, 0.52])],
  spiral: [spiral],
  lightning: [line([0.6, 0.12], [0.32, 0.52], [0.66, 0.48], [0.38, 0.88])],
  fish: [side(1), side(-1)],
  cross: [line([0.2, 0.2], [0.8, 0.8]), line([0.8, 0.2], [0.2, 0.8])],
};
