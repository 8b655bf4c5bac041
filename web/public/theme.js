// Sets the remembered theme before anything is drawn, so that the page does not flash.
// The key and its values are those of src/app/theme.ts.
try {
  const theme = localStorage.getItem("lakh.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden: the system's theme stands.
}
