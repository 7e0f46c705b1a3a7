//! English.

use super::{Item, Texts};

const CHOOSE: &str = "Reply with the number of your choice.";
const FALLBACK: &str = "Sorry, we did not understand that. Send \"menu\" to see how {business} can help you.";
const LIMIT_WARNING: &str = "{business} is receiving many messages right now. We have read yours and will answer as \
     soon as we can.";

pub static BOOKING: Texts = Texts {
    greeting: "Hello, and welcome to {business}! How can we help you today?",
    menu: &[
        Item {
            title: "Book an appointment",
            reply: "With pleasure. Please send us the service you would like, the day and the time, and your name. We \
                    will confirm your appointment here.",
            keywords: &["book", "booking", "appointment", "reserve", "reservation"],
        },
        Item {
            title: "Change or cancel an appointment",
            reply: "No problem. Please send us your name and the day and time of your appointment, and tell us \
                    whether you would like to move it or cancel it.",
            keywords: &["change", "cancel", "move", "reschedule", "postpone"],
        },
        Item {
            title: "Services and prices",
            reply: "Which service are you interested in? Tell us, and we will send you its price and how long it takes.",
            keywords: &["service", "services", "price", "prices", "cost", "how much"],
        },
        Item {
            title: "Opening hours and location",
            reply: "Which day would you like to come? Tell us, and we will send you our opening hours and how to find us.",
            keywords: &["open", "opening", "hours", "location", "address", "where", "when"],
        },
        Item {
            title: "Talk to us",
            reply: "Thank you. Someone from {business} will write to you here shortly.",
            keywords: &["talk", "person", "human", "agent", "call"],
        },
    ],
    choose: CHOOSE,
    fallback: FALLBACK,
    limit_warning: LIMIT_WARNING,
};

pub static ECOMMERCE: Texts = Texts {
    greeting: "Hello, and welcome to {business}! What are you looking for today?",
    menu: &[
        Item {
            title: "Products and prices",
            reply: "Please tell us which product you are looking for, and its size or colour if it matters. We will \
                    send you what we have and its price.",
            keywords: &["product", "products", "price", "prices", "catalogue", "catalog", "cost", "how much"],
        },
        Item {
            title: "Place an order",
            reply: "Great! Please send us what you would like, how many, your name and where to deliver. We will \
                    confirm your order and the total here.",
            keywords: &["order", "buy", "purchase"],
        },
        Item {
            title: "Track a delivery",
            reply: "Please send us your order number, or the name you ordered under, and we will tell you where your \
                    delivery is.",
            keywords: &["track", "tracking", "delivery", "deliver", "parcel", "shipping"],
        },
        Item {
            title: "Payment",
            reply: "You can pay when your order is confirmed; we will send you the ways to pay together with the total.",
            keywords: &["pay", "payment", "paid", "mpesa", "m-pesa", "card"],
        },
        Item {
            title: "Returns and refunds",
            reply: "We are sorry that something was not right. Please send us your order number and what went wrong, \
                    with a photo if you can.",
            keywords: &["return", "returns", "refund", "exchange", "broken", "wrong"],
        },
        Item {
            title: "Talk to us",
            reply: "Thank you. Someone from {business} will write to you here shortly.",
            keywords: &["talk", "person", "human", "agent", "call"],
        },
    ],
    choose: CHOOSE,
    fallback: FALLBACK,
    limit_warning: LIMIT_WARNING,
};

pub static SUPPORT: Texts = Texts {
    greeting: "Hello, this is the support team of {business}. What can we do for you?",
    menu: &[
        Item {
            title: "Report a problem",
            reply: "We are sorry to hear that. Please describe the problem and since when you have had it; a photo or \
                    a screenshot helps. We will come back to you here.",
            keywords: &["problem", "issue", "error", "broken", "fault", "not working"],
        },
        Item {
            title: "Ask about an earlier request",
            reply: "Please send us the number of your request, or your name and the day you wrote to us, and we will \
                    tell you how it stands.",
            keywords: &["status", "request", "ticket", "follow up", "earlier"],
        },
        Item {
            title: "Account and billing",
            reply: "Please tell us what your question is about. For your safety, never send us a password or a PIN.",
            keywords: &["account", "billing", "bill", "invoice", "payment", "password"],
        },
        Item {
            title: "Talk to us",
            reply: "Thank you. Someone from {business} will write to you here shortly.",
            keywords: &["talk", "person", "human", "agent", "call"],
        },
    ],
    choose: CHOOSE,
    fallback: FALLBACK,
    limit_warning: LIMIT_WARNING,
};
