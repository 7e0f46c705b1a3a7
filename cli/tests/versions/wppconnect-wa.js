window.WPP = {};
