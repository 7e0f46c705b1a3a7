//! How model's enums lie in their columns. Each has a twin here, of the same name because the queries name it, that knows
//! its Postgres enum; nothing outside a query sees the twins.

/// Declares the twin of one of model's enums and the way from each to the other.
macro_rules! postgres_enum {
    ($name:ident, $type_name:literal, $($variant:ident),+) => {
        #[derive(Debug, Clone, Copy, sqlx::Type)]
        #[sqlx(type_name = $type_name, rename_all = "SCREAMING_SNAKE_CASE")]
        pub(crate) enum $name {
            $($variant),+
        }

        impl From<roost_model::$name> for $name {
            fn from(given: roost_model::$name) -> Self {
                match given {
                    $(roost_model::$name::$variant => Self::$variant),+
                }
            }
        }

        impl From<$name> for roost_model::$name {
            fn from(column: $name) -> Self {
                match column {
                    $($name::$variant => Self::$variant),+
                }
            }
        }
    };
}

postgres_enum!(TemplateKind, "template_kind", Booking, Ecommerce, Support);
postgres_enum!(LanguageCode, "language_code", En, Sw);
